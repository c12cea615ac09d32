import { PipelineError } from '@winnow/runtime'
import type { PrivateConnection } from './kafka-client.ts'
import type { PiecedRequest } from './kafka-requests.ts'
import { WireWriter } from './kafka-wire.ts'

/**
 * Sends a request on a connection of kafkajs' as kafkajs does, numbered and matched with its answer
 * by kafkajs, but written to the socket piece by piece. The pieces must stay as they are until then.
 */
export async function sendPieces<T>(
  connection: PrivateConnection,
  request: PiecedRequest<T>,
  waitMs: number,
): Promise<T> {
  await connection.authenticate()
  const { apiKey, apiVersion, apiName, pieces } = request
  const correlationId = connection.nextCorrelationId()
  const head = headOf(request, correlationId, connection.clientId)
  const answered = await new Promise<{ readonly payload: Buffer }>((resolve, reject) => {
    if (!connection.isConnected()) {
      reject(new PipelineError('BUS_UNAVAILABLE', `${apiName}: the connection is closed`))
      return
    }
    // kafkajs looks for late answers only while nobody has begun to close the connection.
    const timer = setTimeout(() => {
      const what = `${apiName}: no answer after ${waitMs} ms`
      reject(new PipelineError('BUS_UNAVAILABLE', what))
    }, waitMs)
    const entry = {
      ...{ apiKey, apiVersion, apiName, correlationId },
      resolve: (answer: { readonly payload: Buffer }): void => {
        clearTimeout(timer)
        resolve(answer)
      },
      reject: (error: unknown): void => {
        clearTimeout(timer)
        reject(error)
      },
    }
    const sendRequest = (): void => write(connection, [head, ...pieces])
    connection.requestQueue.push({
      entry,
      expectResponse: true,
      requestTimeout: waitMs,
      sendRequest,
    })
  })
  return request.decode(answered.payload)
}

/** size │ API │ version │ number │ client */
function headOf(
  { apiKey, apiVersion, pieces }: PiecedRequest<unknown>,
  correlationId: number,
  clientId: string,
): Buffer {
  const fields = new WireWriter()
    .int16(apiKey)
    .int16(apiVersion)
    .int32(correlationId)
    .string(clientId)
    .bytes()
  const bytes = pieces.reduce((sum, piece) => sum + piece.length, fields.length)
  return new WireWriter().int32(bytes).raw(fields).bytes()
}

function write({ socket }: PrivateConnection, pieces: readonly Buffer[]): void {
  socket.cork()
  for (const piece of pieces) socket.write(piece)
  socket.uncork()
}
