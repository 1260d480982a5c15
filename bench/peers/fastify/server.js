// Takes events over HTTP and answers when Kafka has acknowledged them, until
// SIGTERM: then it answers what it has begun and ends.

import { isUtf8 } from 'node:buffer'
import Fastify from 'fastify'
import { Kafka, Partitioners, logLevel } from 'kafkajs'

const [address, brokers, topic] = process.argv.slice(2)
const colon = address.lastIndexOf(':')

const kafka = new Kafka({ clientId: 'peer-fastify', brokers: brokers.split(','), logLevel: logLevel.WARN })
const producer = kafka.producer({
  idempotent: true,
  allowAutoTopicCreation: false,
  createPartitioner: Partitioners.DefaultPartitioner, // murmur2, as Java's
})

// An idempotent producer of kafkajs has one send under way at a time and joins
// none. So what comes meanwhile leaves together in the next, in the order of its
// coming. A send is smaller than the largest record batch that a broker takes.
const mostBytes = 900_000
let filling = null // the last send, until it leaves
let sending = Promise.resolve() // settles with the last send

// Resolves when all records are acknowledged.
function deliver(records) {
  const sends = new Set()
  for (const r of records) {
    if (filling === null || filling.bytes + r.value.length > mostBytes) filling = schedule()
    filling.messages.push(r)
    filling.bytes += r.value.length + 50 // the key and what frames a record
    sends.add(filling.done)
  }
  return Promise.all(sends)
}

// Begins a send, which leaves when the one before it is settled.
function schedule() {
  const send = { messages: [], bytes: 0, done: null }
  const leave = () => {
    if (filling === send) filling = null
    return producer.send({ topic, acks: -1, messages: send.messages })
  }
  sending = send.done = sending.then(leave, leave)
  return send
}

const bad = (why) => Object.assign(new Error(why), { statusCode: 400 })

// Checks an event and makes the record of it: keyed by its user, its own bytes.
function record(bytes) {
  let event
  try {
    event = JSON.parse(bytes)
  } catch (error) {
    throw bad(`not JSON: ${error.message}`)
  }
  if (event === null || typeof event !== 'object' || Array.isArray(event)) {
    throw bad('not a JSON object')
  }
  for (const name of ['id', 'type', 'user']) {
    if (typeof event[name] !== 'string' || event[name] === '') {
      throw bad(`${name} must be a string that is not empty`)
    }
  }
  if (!Number.isInteger(event.ts)) throw bad('ts must be an integer')
  return { key: event.user, value: bytes }
}

// Cuts a body into its lines, without copying it.
function* lines(body) {
  for (let start = 0; start < body.length; ) {
    let end = body.indexOf(10, start)
    if (end < 0) end = body.length
    const last = end > start && body[end - 1] === 13 ? end - 1 : end
    if (last > start) yield body.subarray(start, last)
    start = end + 1
  }
}

const app = Fastify({ bodyLimit: 8 << 20, logger: { level: 'warn' } })

// Its own parsers, since Kafka is to have the bytes and not what they mean.
const parser = (split) => (request, body, done) => {
  try {
    if (!isUtf8(body)) throw bad('not UTF-8')
    const records = Array.from(split(body), record)
    if (records.length === 0) throw bad('no events')
    done(null, records)
  } catch (error) {
    done(error)
  }
}
app.removeAllContentTypeParsers()
app.addContentTypeParser('application/json', { parseAs: 'buffer' }, parser((body) => [body]))
app.addContentTypeParser('application/x-ndjson', { parseAs: 'buffer' }, parser(lines))

app.post('/v1/events', async (request) => {
  try {
    await deliver(request.body)
  } catch (error) {
    throw Object.assign(error, { statusCode: 503 })
  }
  return { accepted: request.body.length }
})

await producer.connect()
await app.listen({ host: address.slice(0, colon), port: Number(address.slice(colon + 1)) })

process.once('SIGTERM', async () => {
  await app.close()
  await sending.catch(() => {}) // whose clients have gone; disconnect does not wait
  await producer.disconnect()
})
