import { s3World } from '../connectors/s3-world.ts'
import { conformance } from './suite.ts'

conformance({ name: 's3 (versitygw)', make: s3World })
