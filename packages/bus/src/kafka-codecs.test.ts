import { expect, test } from 'vitest'
import { unlz4 } from './lz4.ts'
import { unsnappy } from './snappy.ts'

/** What Java's libraries, which Kafka's own clients use, made of {@link plain}. */
const compressed = {
  'snappy, one block': [
    '3glEc3BhbiAwIG9mIHRyYWNlIDA7BRIAMRkSADEJEgAyGRIAMgkSADMZEgAzCRIANBkSADQJEgA1GRIANQkSADYZ',
    'EgA2CRIdfgA3CRIdfgA4CRIdfgA5CRIdfgAxDbUdfwAxDbYdgAAxDbcdgQAxDbgdggAxDbkdgwAxDbodhAAxDbsu',
    'hQANvC6FAA29LoUADb4dhQAyDb4dhQAyDb4dhQAyDb4dhQAyDb4dhQAyDb4dhQAyDb4dhQAyDb4uhQANvi6FAA2+',
    'LoUADb4dhQAzDb4dhQAzDb4dhQAzDb4dhQAzDb4dhQAzDb4dhQAzDb4dhQAzDb4uhQANvi6FAA2+LoUADb4dhQA0',
    'Db4dhQA0Db4dhQA0Db4dhQA0Db4dhQA0Db4dhQA0Db4dhQA0Db4uhQANvi6FAA2+LoUADb4dhQA1Db4dhQA1Db4d',
    'hQA1Db4dhQA1Db4dhQA1Db4dhQA1Db4dhQA1Db4uhQANvi6FAA2+LoUACDk7Yf4BAMoBAA==',
  ].join(''),
  'snappy, frames of 1 KiB': [
    'glNOQVBQWQAAAAABAAAAAQAAAV2ACERzcGFuIDAgb2YgdHJhY2UgMDsFEgAxGRIAMQkSADIZEgAyCRIAMxkSADMJ',
    'EgA0GRIANAkSADUZEgA1CRIANhkSADYJEh1+ADcJEh1+ADgJEh1+ADkJEh1+ADENtR1/ADENth2AADENtx2BADEN',
    'uB2CADENuR2DADENuh2EADENuy6FAA28LoUADb0uhQANvh2FADINvh2FADINvh2FADINvh2FADINvh2FADINvh2F',
    'ADINvh2FADINvi6FAA2+LoUADb4uhQANvh2FADMNvh2FADMNvh2FADMNvh2FADMNvh2FADMNvh2FADMNvh2FADMN',
    'vi6FAA2+LoUADb4uhQANvh2FADQNvh2FADQNvh2FADQNvh2FADQNvh2FADQNvh2FADQNvh2FADQNvi6FAA2+LoUA',
    'Db4uhQANvh2FADUNvh2FADUNvh2FADUNvh2FKDUzO3NwYW4gNSBvAAAARN4BSGYgdHJhY2UgNTQ7c3BhbiA2IG8V',
    'EwQ1OwUTADAdEwA2CRMAMR0TADcJEwAyHRMEODsFOQAzHRMIOTth/gEAygEA',
  ].join(''),
  lz4: [
    'BCJNGGRAp7UBAADxA3NwYW4gMCBvZiB0cmFjZSAwOxIAFjESABIxEgAWMhIAEjISABYzEgASMxIAFjQSABI0EgAW',
    'NRIAEjUSABY2EgASNhIAB34AEjcSAAd+ABI4EgAHfgASORIAB34AEzG1AAd/ABMxtgAHgAATMbcAB4EAEzG4AAeC',
    'ABMxuQAHgwATMboAB4QAEzG7AAiFAAO8AAiFAAO9AAiFAAO+AAeFABMyvgAHhQATMr4AB4UAEzK+AAeFABMyvgAH',
    'hQATMr4AB4UAEzK+AAeFABMyvgAIhQADvgAIhQADvgAIhQADvgAHhQATM74AB4UAEzO+AAeFABMzvgAHhQATM74A',
    'B4UAEzO+AAeFABMzvgAHhQATM74ACIUAA74ACIUAA74ACIUAA74AB4UAEzS+AAeFABM0vgAHhQATNL4AB4UAEzS+',
    'AAeFABM0vgAHhQAiNDWsAgeFABM0vgAIhQADvgAIhQADvgAIhQADvgAHhQATNb4AB4UAEzW+AAeFABM1vgAHhQAT',
    'Nb4AB4UAEzW+AAeFABM1vgAHhQATNb4ACIUAA74ACIUAA74ACIUAPzk7YQEAW1BhYWFhYQAAAACOqN+r',
  ].join(''),
}

const plain =
  Array.from({ length: 60 }, (_, i) => `span ${i % 7} of trace ${i};`).join('') + 'a'.repeat(116)

const formats = Object.entries(compressed).map(([name, base64]) => ({
  name,
  bytes: Buffer.from(base64, 'base64'),
  inflate: name === 'lz4' ? unlz4 : unsnappy,
}))
const bytesMax = plain.length
const corrupt = expect.objectContaining({ code: 'DATA_CORRUPT' })

test.for(formats)('$name: what another library compressed is read', ({ bytes, inflate }) => {
  expect(inflate(bytes, bytesMax).toString()).toBe(plain)
})

test.for(formats)(
  '$name: more than the limit is refused, the limit is not',
  ({ bytes, inflate }) => {
    expect(inflate(bytes, bytesMax).length).toBe(bytesMax)
    expect(() => inflate(bytes, bytesMax - 1)).toThrow(corrupt)
  },
)

test.for(formats)(
  '$name: cut off or with a byte changed it is read or refused, never more',
  ({ bytes, inflate }) => {
    for (let at = 0; at < bytes.length; at++) {
      const changed = Buffer.from(bytes)
      changed[at] = 0xff ^ (bytes[at] as number)
      for (const one of [bytes.subarray(0, at), changed]) {
        try {
          expect(inflate(one, bytesMax).length).toBeLessThanOrEqual(bytesMax)
        } catch (error) {
          expect(error, `at ${at}`).toEqual(corrupt)
        }
      }
    }
  },
)

test('a match further back than there are bytes is refused', () => {
  expect(() => unsnappy(Buffer.from([8, 0, 0x61, 0x05, 0x02]), 100)).toThrow(corrupt)
})
