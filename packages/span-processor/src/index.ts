export { RedactingSpanProcessor, type RedactionOptions } from './redacting-span-processor.ts'
