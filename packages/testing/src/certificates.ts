import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto'
import { isIP } from 'node:net'

export interface TestCertificate {
  /** PEM. */
  readonly cert: string
  readonly key: string
}

export interface CertificateOptions {
  readonly name?: string
  /** Host names and IPv4 addresses that it is good for. */
  readonly hosts?: readonly string[]
  readonly notBefore?: Date
  readonly notAfter?: Date
}

/** An authority for tests and the certificates that it issues, for servers and clients, of any validity. */
export class TestAuthority {
  /** PEM of its own certificate: what the other side is to trust. */
  readonly ca: string
  readonly #name: string
  readonly #key: KeyObject

  constructor(name = 'winnow test authority') {
    const { publicKey, privateKey } = newKey()
    this.#name = name
    this.#key = privateKey
    this.ca = this.#certificate(publicKey, { name }, true)
  }

  issue(options: CertificateOptions = {}): TestCertificate {
    const { publicKey, privateKey } = newKey()
    return {
      cert: this.#certificate(publicKey, options, false),
      key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    }
  }

  #certificate(publicKey: KeyObject, options: CertificateOptions, isAuthority: boolean): string {
    const { name = '127.0.0.1', hosts = ['127.0.0.1', 'localhost'] } = options
    const { notBefore = new Date(Date.now() - dayMs), notAfter = new Date(Date.now() + dayMs) } =
      options
    const spki = publicKey.export({ type: 'spki', format: 'der' })
    const extensions = isAuthority
      ? [extension('2.5.29.19', sequence(boolean(true))), extension('2.5.29.15', bits([0x06], 1))]
      : [extension('2.5.29.17', sequence(...hosts.map(hostName)))]
    const body = sequence(
      tagged(0xa0, integer(Buffer.from([2]))),
      integer(Buffer.concat([Buffer.from([0x01]), randomBytes(8)])),
      ecdsaWithSha256,
      distinguishedName(this.#name),
      sequence(time(notBefore), time(notAfter)),
      distinguishedName(name),
      spki,
      tagged(
        0xa3,
        sequence(
          extension('2.5.29.14', tagged(0x04, createHash('sha1').update(spki).digest())),
          ...extensions,
        ),
      ),
    )
    const signature = sign('sha256', body, this.#key)
    return pem(sequence(body, ecdsaWithSha256, bits([...signature], 0)))
  }
}

const dayMs = 86_400_000

function newKey() {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' })
}

// What follows writes DER (X.690): a tag, the length, the contents.

function tagged(tag: number, ...contents: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(contents)
  if (body.length < 0x80) return Buffer.concat([Buffer.from([tag, body.length]), body])
  const length = Buffer.alloc(2)
  length.writeUInt16BE(body.length)
  return Buffer.concat([Buffer.from([tag, 0x82]), length, body])
}

function sequence(...parts: readonly Uint8Array[]): Buffer {
  return tagged(0x30, ...parts)
}

function integer(bytes: Uint8Array): Buffer {
  return tagged(0x02, bytes)
}

function boolean(value: boolean): Buffer {
  return tagged(0x01, Buffer.from([value ? 0xff : 0]))
}

function bits(bytes: readonly number[], unused: number): Buffer {
  return tagged(0x03, Buffer.from([unused, ...bytes]))
}

function objectId(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number)
  const bytes = rest.flatMap(part => {
    const groups = [part & 0x7f]
    for (let left = part >> 7; left > 0; left >>= 7) groups.unshift((left & 0x7f) | 0x80)
    return groups
  })
  return tagged(0x06, Buffer.from([40 * first + second, ...bytes]))
}

const ecdsaWithSha256 = sequence(objectId('1.2.840.10045.4.3.2'))

function distinguishedName(commonName: string): Buffer {
  const value = tagged(0x0c, Buffer.from(commonName))
  return sequence(tagged(0x31, sequence(objectId('2.5.4.3'), value)))
}

/** GeneralizedTime, to the second. */
function time(at: Date): Buffer {
  return tagged(0x18, Buffer.from(`${at.toISOString().slice(0, 19).replaceAll(/[-:T]/g, '')}Z`))
}

function extension(id: string, value: Buffer): Buffer {
  return sequence(objectId(id), tagged(0x04, value))
}

function hostName(host: string): Buffer {
  return isIP(host) === 4
    ? tagged(0x87, Buffer.from(host.split('.').map(Number)))
    : tagged(0x82, Buffer.from(host))
}

function pem(der: Buffer): string {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? []
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`
}
