package peer;

/** Says why an event is refused. */
final class BadEvent extends Exception {
    BadEvent(String why) {
        super(why, null, false, false); // no stack trace: nobody reads it
    }
}
