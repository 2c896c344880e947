// Everything that emotion-clf needs on Azure, in one resource group: README.md says what to type.
// All stores answer inside the virtual network alone; the cluster's workloads sign in by federation.

targetScope = 'resourceGroup'

@description('Prefix of all names: lower-case letters and digits.')
@minLength(3)
@maxLength(12)
param name string = 'emotionclf'

@description('Region. It must offer the GPU size below, and your quota must allow for it.')
param location string = resourceGroup().location

@description('Object id of the person, group or service principal that administers the cluster.')
param adminPrincipalId string

@description('What adminPrincipalId is.')
@allowed(['User', 'Group', 'ServicePrincipal'])
param adminPrincipalType string = 'User'

@description('Address ranges that may ask the Kubernetes API, such as 203.0.113.0/24; empty: all, signed in.')
param authorizedIpRanges string[] = []

@description('Namespace that the chart is installed in.')
param namespace string = 'emotion-clf'

@description('Size of the nodes that carry all but the GPU workers.')
param systemNodeSize string = 'Standard_D4s_v5'

@minValue(2)
param systemNodesMin int = 2

@minValue(2)
param systemNodesMax int = 6

@description('Size of the nodes of the GPU workers: one T4 each.')
param gpuNodeSize string = 'Standard_NC4as_T4_v3'

@description('Most GPU nodes; without work there are none.')
@minValue(1)
param gpuNodesMax int = 4

@allowed(['Free', 'Standard', 'Premium'])
param clusterTier string = 'Standard'

param postgresSku string = 'Standard_D2ds_v5'

@allowed(['Burstable', 'GeneralPurpose', 'MemoryOptimized'])
param postgresTier string = 'GeneralPurpose'

@minValue(32)
param postgresStorageGb int = 128

@allowed(['Disabled', 'SameZone', 'ZoneRedundant'])
param postgresHighAvailability string = 'Disabled'

@minValue(7)
@maxValue(35)
param postgresBackupDays int = 14

@description('Azure Managed Redis; it carries hints and counters only, so the smallest does for long.')
param redisSku string = 'Balanced_B0'

@allowed(['Enabled', 'Disabled'])
param redisHighAvailability string = 'Enabled'

@allowed(['Standard_LRS', 'Standard_ZRS', 'Standard_GRS', 'Standard_GZRS'])
param storageSku string = 'Standard_ZRS'

@description('Days after which artifacts are deleted should the service not have done it; 0: never.')
@minValue(0)
param artifactDays int = 30

@allowed(['Basic', 'Standard', 'Premium'])
param registrySku string = 'Standard'

@description('Whether a deleted vault, with its name, stays for seven days and cannot be purged.')
param purgeProtection bool = true

@minValue(30)
param logDays int = 30

@description('Letters and digits, since it stands in an address.')
@secure()
@minLength(16)
param postgresPassword string

@description('Signs the tokens of the API (auth.secret).')
@secure()
@minLength(32)
param authSecret string

@description('The clients\' webhook keys are derived from it (webhooks.secret).')
@secure()
@minLength(32)
param webhooksSecret string

@description('name:password of the queue dashboard.')
@secure()
@minLength(12)
param flowerBasicAuth string

param tags object = { project: 'emotion-clf' }

// Names of registry, account, vault and servers are shared by all of Azure.
var unique = uniqueString(resourceGroup().id, name)

module network 'modules/network.bicep' = {
  name: 'network'
  params: { name: name, location: location, tags: tags }
}

module logs 'modules/logs.bicep' = {
  name: 'logs'
  params: { name: name, location: location, tags: tags, days: logDays }
}

module registry 'modules/registry.bicep' = {
  name: 'registry'
  params: {
    name: '${name}${unique}'
    location: location
    tags: tags
    sku: registrySku
    pullPrincipalId: cluster.outputs.kubeletPrincipalId
  }
}

module cluster 'modules/cluster.bicep' = {
  name: 'cluster'
  params: {
    name: name
    location: location
    tags: tags
    tier: clusterTier
    subnetName: network.outputs.nodesName
    networkName: network.outputs.name
    workspaceId: logs.outputs.id
    systemNodeSize: systemNodeSize
    systemNodesMin: systemNodesMin
    systemNodesMax: systemNodesMax
    gpuNodeSize: gpuNodeSize
    gpuNodesMax: gpuNodesMax
    authorizedIpRanges: authorizedIpRanges
    adminPrincipalId: adminPrincipalId
    adminPrincipalType: adminPrincipalType
  }
}

// Two identities: whoever takes over a worker reaches the artifacts, and not the vault.
module artifactsIdentity 'modules/identity.bicep' = {
  name: 'identity-artifacts'
  params: {
    name: '${name}-artifacts'
    location: location
    tags: tags
    issuer: cluster.outputs.oidcIssuer
    subject: 'system:serviceaccount:${namespace}:emotion-clf'
  }
}

module secretsIdentity 'modules/identity.bicep' = {
  name: 'identity-secrets'
  params: {
    name: '${name}-secrets'
    location: location
    tags: tags
    issuer: cluster.outputs.oidcIssuer
    subject: 'system:serviceaccount:${namespace}:emotion-clf-secrets'
  }
}

module postgres 'modules/postgres.bicep' = {
  name: 'postgres'
  params: {
    name: '${name}-${unique}'
    location: location
    tags: tags
    sku: postgresSku
    tier: postgresTier
    storageGb: postgresStorageGb
    highAvailability: postgresHighAvailability
    backupDays: postgresBackupDays
    password: postgresPassword
    subnetId: network.outputs.postgresId
    networkId: network.outputs.id
  }
}

module redis 'modules/redis.bicep' = {
  name: 'redis'
  params: {
    name: '${name}-${unique}'
    location: location
    tags: tags
    sku: redisSku
    highAvailability: redisHighAvailability
    subnetId: network.outputs.endpointsId
    networkId: network.outputs.id
  }
}

module storage 'modules/storage.bicep' = {
  name: 'storage'
  params: {
    name: take('${name}${unique}', 24)
    location: location
    tags: tags
    sku: storageSku
    days: artifactDays
    principalId: artifactsIdentity.outputs.principalId
    subnetId: network.outputs.endpointsId
    networkId: network.outputs.id
  }
}

module vault 'modules/vault.bicep' = {
  name: 'vault'
  params: {
    name: take('${name}-${unique}', 24)
    location: location
    tags: tags
    purgeProtection: purgeProtection
    principalId: secretsIdentity.outputs.principalId
    subnetId: network.outputs.endpointsId
    networkId: network.outputs.id
    postgresAddress: postgres.outputs.address
    postgresPassword: postgresPassword
    redisName: redis.outputs.name
    authSecret: authSecret
    webhooksSecret: webhooksSecret
    flowerBasicAuth: flowerBasicAuth
  }
}

output clusterName string = cluster.outputs.name
output registryServer string = registry.outputs.server
output artifactUrl string = storage.outputs.url
output artifactsClientId string = artifactsIdentity.outputs.clientId
output secretsClientId string = secretsIdentity.outputs.clientId
output vaultName string = vault.outputs.name
output tenantId string = tenant().tenantId
output databaseCidr string = network.outputs.postgresCidr
output endpointsCidr string = network.outputs.endpointsCidr
