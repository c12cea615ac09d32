import { blobStoreContract } from '../../packages/storage/src/blob-store.contract.ts'
import { sharedS3 } from './s3/shared.ts'
import { openS3Store } from './s3/store.ts'

const first = await sharedS3()
if (first !== undefined) blobStoreContract('S3', () => openS3Store(first))

const versitygw = await sharedS3({ server: 'versitygw' })
if (versitygw !== undefined) blobStoreContract('versitygw', () => openS3Store(versitygw))
