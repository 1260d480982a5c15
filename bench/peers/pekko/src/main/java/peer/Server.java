package peer;

import static org.apache.pekko.http.javadsl.server.PathMatchers.segment;

import com.fasterxml.jackson.core.io.JsonStringEncoder;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.apache.pekko.actor.ActorSystem;
import org.apache.pekko.actor.CoordinatedShutdown;
import org.apache.pekko.http.javadsl.Http;
import org.apache.pekko.http.javadsl.model.ContentTypes;
import org.apache.pekko.http.javadsl.model.HttpEntity;
import org.apache.pekko.http.javadsl.model.HttpRequest;
import org.apache.pekko.http.javadsl.model.HttpResponse;
import org.apache.pekko.http.javadsl.model.StatusCode;
import org.apache.pekko.http.javadsl.model.StatusCodes;
import org.apache.pekko.http.javadsl.server.AllDirectives;
import org.apache.pekko.http.javadsl.server.Route;
import org.apache.pekko.kafka.ProducerMessage;
import org.apache.pekko.kafka.ProducerSettings;
import org.apache.pekko.kafka.javadsl.SendProducer;

/**
 * Takes events over HTTP and answers when Kafka has acknowledged them. Stops on
 * SIGTERM by coordinated shutdown: what was begun is answered, then the producer
 * closed.
 */
public final class Server extends AllDirectives {
    private static final long BODY_TIMEOUT_MS = 10_000;

    private final ActorSystem system;
    private final SendProducer<String, byte[]> producer;
    private final Events events;

    private Server(ActorSystem system, SendProducer<String, byte[]> producer, Events events) {
        this.system = system;
        this.producer = producer;
        this.events = events;
    }

    public static void main(String[] args) {
        String address = args[0];
        String brokers = args[1];
        String topic = args[2];
        int colon = address.lastIndexOf(':');

        ActorSystem system = ActorSystem.create("peer");
        var producer = new SendProducer<>(
                ProducerSettings.create(system, new StringSerializer(), new ByteArraySerializer())
                        .withBootstrapServers(brokers),
                system);
        CoordinatedShutdown.get(system)
                .addTask(CoordinatedShutdown.PhaseServiceStop(), "close the producer", producer::close);

        Http.get(system)
                .newServerAt(address.substring(0, colon), Integer.parseInt(address.substring(colon + 1)))
                .bind(new Server(system, producer, new Events(topic)).routes())
                .whenComplete((binding, failure) -> {
                    if (failure != null) {
                        System.err.println("pekko: cannot listen on " + address + ": " + failure.getMessage());
                        System.exit(1);
                    }
                    binding.addToCoordinatedShutdown(Duration.ofSeconds(5), system);
                });
    }

    private Route routes() {
        return path(segment("v1").slash("events"), () -> post(() -> handle(this::ingest)));
    }

    private CompletionStage<HttpResponse> ingest(HttpRequest request) {
        return request.entity().toStrict(BODY_TIMEOUT_MS, system).thenCompose(this::send);
    }

    private CompletionStage<HttpResponse> send(HttpEntity.Strict body) {
        List<ProducerRecord<String, byte[]>> records;
        try {
            byte[] bytes = body.getData().toArrayUnsafe();
            records = switch (body.getContentType().mediaType().toString()) {
                case "application/json" -> events.single(bytes);
                case "application/x-ndjson" -> events.lines(bytes);
                default -> null;
            };
        } catch (BadEvent e) {
            return done(StatusCodes.BAD_REQUEST, error(e.getMessage()));
        }
        if (records == null) {
            return done(
                    StatusCodes.UNSUPPORTED_MEDIA_TYPE, error("want application/json or application/x-ndjson"));
        }
        int count = records.size();
        return producer.sendEnvelope(ProducerMessage.multi(records))
                .handle((acks, failure) -> failure == null
                        ? answer(StatusCodes.OK, "{\"accepted\":" + count + "}")
                        : answer(StatusCodes.SERVICE_UNAVAILABLE, error(failure.toString())));
    }

    private static CompletionStage<HttpResponse> done(StatusCode status, String json) {
        return CompletableFuture.completedFuture(answer(status, json));
    }

    private static HttpResponse answer(StatusCode status, String json) {
        return HttpResponse.create().withStatus(status).withEntity(ContentTypes.APPLICATION_JSON, json);
    }

    private static String error(String why) {
        return "{\"error\":\"" + new String(JsonStringEncoder.getInstance().quoteAsString(why)) + "\"}";
    }
}
