import { bytesKey } from '@winnow/runtime'

/** `kafka.ring`: memory of `winnow up` for the last of `spans`, from which the writer and verify read. */
export const kafkaRingKey = bytesKey('256MiB').refine(
  bytes => bytes === 0 || (bytes >= ringBytesMin && bytes % ringStepBytes === 0),
  { error: 'give 0B for none, or 16MiB and more in whole KiB' },
)

const ringBytesMin = 16 * 1024 * 1024
const ringStepBytes = 1024
