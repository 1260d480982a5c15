package peer;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonFactoryBuilder;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadFeature;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.apache.kafka.clients.producer.ProducerRecord;

/** Makes Kafka's records of the bodies of requests. */
final class Events {
    private static final JsonFactory JSON =
            new JsonFactoryBuilder().disable(StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION).build();

    private final String topic;

    Events(String topic) {
        this.topic = topic;
    }

    /** The record of a body that is one event. */
    List<ProducerRecord<String, byte[]>> single(byte[] body) throws BadEvent {
        return List.of(record(body));
    }

    /** The records of a body with an event a line; empty lines are none. */
    List<ProducerRecord<String, byte[]>> lines(byte[] body) throws BadEvent {
        var records = new ArrayList<ProducerRecord<String, byte[]>>();
        for (int start = 0; start < body.length; ) {
            int end = start;
            while (end < body.length && body[end] != '\n') {
                end++;
            }
            int last = end > start && body[end - 1] == '\r' ? end - 1 : end;
            if (last > start) {
                records.add(record(Arrays.copyOfRange(body, start, last)));
            }
            start = end + 1;
        }
        if (records.isEmpty()) {
            throw new BadEvent("no events");
        }
        return records;
    }

    private ProducerRecord<String, byte[]> record(byte[] event) throws BadEvent {
        return new ProducerRecord<>(topic, user(event), event);
    }

    /** Checks an event in one pass, without a tree, and gives its user. */
    private static String user(byte[] event) throws BadEvent {
        boolean id = false;
        boolean type = false;
        boolean ts = false;
        String user = null;
        try (JsonParser json = JSON.createParser(event)) {
            if (json.nextToken() != JsonToken.START_OBJECT) {
                throw new BadEvent("not a JSON object");
            }
            String name;
            while ((name = json.nextFieldName()) != null) {
                JsonToken value = json.nextToken();
                switch (name) {
                    case "id" -> id = isText(json, value);
                    case "type" -> type = isText(json, value);
                    case "user" -> user = isText(json, value) ? json.getText() : null;
                    case "ts" -> ts = value == JsonToken.VALUE_NUMBER_INT;
                    default -> {}
                }
                json.skipChildren();
            }
            if (json.nextToken() != null) {
                throw new BadEvent("not JSON: more than one value");
            }
        } catch (JsonProcessingException e) {
            throw new BadEvent("not JSON: " + e.getOriginalMessage());
        } catch (IOException e) {
            // An invalid UTF-8 sequence: nothing else is read here but memory.
            throw new BadEvent("not JSON: " + e.getMessage());
        }
        if (!id || !type || user == null) {
            throw new BadEvent("id, type and user must be strings that are not empty");
        }
        if (!ts) {
            throw new BadEvent("ts must be an integer");
        }
        return user;
    }

    private static boolean isText(JsonParser json, JsonToken value) throws IOException {
        return value == JsonToken.VALUE_STRING && json.getTextLength() > 0;
    }
}
