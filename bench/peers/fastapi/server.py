"""Takes events over HTTP and answers when Kafka has acknowledged them.

One process, which serves until SIGTERM and then answers what it has begun.
"""

import asyncio
import sys
from contextlib import asynccontextmanager

import orjson
import uvicorn
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from fastapi import FastAPI, Request, Response


class BadEvent(Exception):
    """Says why an event is refused."""


def parse(event: bytes) -> bytes:
    """Checks an event and gives its key: the user."""
    try:
        fields = orjson.loads(event)
    except orjson.JSONDecodeError as error:
        raise BadEvent(f"not JSON: {error}") from error
    if not isinstance(fields, dict):
        raise BadEvent("not a JSON object")
    for name in ("id", "type", "user"):
        value = fields.get(name)
        if not isinstance(value, str) or not value:
            raise BadEvent(f"{name} must be a string that is not empty")
    if type(fields.get("ts")) is not int:  # bool is an int to isinstance
        raise BadEvent("ts must be an integer")
    return fields["user"].encode()


def split(media_type: str, body: bytes) -> list[bytes]:
    """Cuts a body into its events."""
    if media_type.partition(";")[0].strip().lower() != "application/x-ndjson":
        return [body]
    events = [line for raw in body.split(b"\n") if (line := raw.strip())]
    if not events:
        raise BadEvent("no events")
    return events


def application(brokers: str, topic: str) -> FastAPI:
    @asynccontextmanager
    async def lifespan(app: FastAPI):
        app.state.producer = AIOKafkaProducer(
            bootstrap_servers=brokers,
            acks="all",
            enable_idempotence=True,
        )
        async with app.state.producer:
            yield

    app = FastAPI(lifespan=lifespan)

    @app.post("/v1/events")
    async def ingest(request: Request) -> Response:
        body = await request.body()
        try:
            events = split(request.headers.get("content-type", ""), body)
            keys = [parse(event) for event in events]
        except BadEvent as error:
            return answer(400, error=str(error))
        send = request.app.state.producer.send
        try:
            acks = [await send(topic, event, key) for key, event in zip(keys, events)]
            await asyncio.gather(*acks)
        except KafkaError as error:
            return answer(503, error=str(error))
        return answer(200, accepted=len(events))

    return app


def answer(status: int, **fields) -> Response:
    return Response(orjson.dumps(fields), status, media_type="application/json")


if __name__ == "__main__":
    address, brokers, topic = sys.argv[1:]
    host, _, port = address.rpartition(":")
    uvicorn.run(
        application(brokers, topic),
        host=host,
        port=int(port),
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="warning",
    )
