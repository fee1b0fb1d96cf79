// Calls every operation with the published client, unmodified but for its base URL.
// Reads {api_url, source, target, resources, deletable} from the standard input, prints one JSON line per call: {operation, status, body}.
import { authorize, getClient } from '@epilot/sdk/configuration-hub'

const input = JSON.parse(await new Promise((resolve) => {
  let text = ''
  process.stdin.on('data', (chunk) => { text += chunk }).on('end', () => resolve(text))
}))

const client = getClient()
client.defaults.baseURL = input.api_url
client.defaults.validateStatus = () => true
authorize(client, () => input.source.token)

async function call(operation, ...parameters) {
  const answer = await client[operation](...parameters)
  console.log(JSON.stringify({ operation, status: answer.status, body: answer.data }))
  return answer.data
}

async function until(done, read) {
  for (let tries = 0; tries < 600; tries += 1) {
    const answer = await read()
    if (done(answer)) return answer
    await new Promise((resolve) => { setTimeout(resolve, 200) })
  }
  throw new Error('not finished in time')
}

const quietly = async (operation, ...parameters) => (await client[operation](...parameters)).data
const ended = (job) => !['pending', 'in_progress'].includes(job.status)

await call('rebuildIndex')
await until((state) => state.status !== 'building', () => quietly('getIndex'))
await call('getIndex')
await call('listConfigTypes')
const first = await call('listConfigs', { type: 'journey', size: 2, sort: 'name' })
await call('listConfigs', { type: 'journey', size: 2, sort: 'name', cursor: first.next_cursor })
const journey = first.results[0]
await call('getConfigDependencies', { type: 'journey', id: journey.id, size: 5 })
await call('getConfigUsedBy', { type: 'journey', id: journey.id })
await call('getConfigDependencies', { type: 'journey', id: 'no such journey' })

const request = {
  source_org_id: input.source.org_id,
  target_org_id: input.target.org_id,
  target_auth_token: input.target.token,
  resources: input.resources,
  name: 'published client',
}
const failing = await call('createSyncJob', null, request)
await call('getSyncJob', { id: failing.id })
await until(ended, () => quietly('getSyncJob', { id: failing.id }))
await call('getSyncJob', { id: failing.id })
await call('listSyncJobs', { size: 5 })
await call('listSyncJobResources', { id: failing.id, size: 50 })
await call('listSyncJobResources', { id: failing.id, size: 50, status: 'failed' })
const retried = await call('retrySyncJob', { id: failing.id }, {})
await until(ended, () => quietly('getSyncJob', { id: retried.id }))
await call('cancelSyncJob', { id: retried.id })

const other = { source_org_id: input.target.org_id, source_auth_token: input.target.token, type: 'journey' }
const { rows } = await call('compareConfigs', null, other)
const alone = (status, side) => rows.filter((row) => row.match_status === status).map((row) => row[side].id)
const [there] = alone('only_source', 'source')
const [here] = alone('only_current', 'current')
await call('suggestMatches', null, { ...other, source_ids: [there] })
const pair = { type: 'journey', source_org_id: input.target.org_id, source_id: there, target_id: here }
await call('confirmLineage', null, pair)
await call('compareConfigs', null, other)
await call('confirmLineage', null, { ...pair, source_id: 'another source' })
await call('breakLineage', { type: 'journey', source_id: there })
await call('breakLineage', { type: 'journey', source_id: there })
await call('compareConfigs', null, { ...other, source_auth_token: input.source.token })
await call('getConfigInventory', { include_dependency_only: true })

const deleting = await call('createDeleteJob', null, { name: 'published client', resources: input.deletable })
await call('getDeleteJob', { id: deleting.id })
await until(ended, () => quietly('getDeleteJob', { id: deleting.id }))
await call('getDeleteJob', { id: deleting.id })
await call('listDeleteJobs', { size: 5 })
await call('listDeleteJobResources', { id: deleting.id, size: 50 })
await call('createDeleteJob', null, { resources: [] })

await call('getSyncJob', { id: 'no-such-job' })
