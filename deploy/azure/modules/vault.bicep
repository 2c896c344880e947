// The secrets, as the chart's secret names them, for one identity to read.

param name string
param location string
param tags object

@description('Who reads the secrets.')
param principalId string

param subnetId string
param networkId string

@description('Whether a deleted vault stays until its days are over.')
param purgeProtection bool

@description('user, host and database.')
param postgresAddress object

param redisName string

@secure()
param postgresPassword string

@secure()
param authSecret string

@secure()
param webhooksSecret string

@secure()
param flowerBasicAuth string

resource redis 'Microsoft.Cache/redisEnterprise@2025-07-01' existing = {
  name: redisName
  resource database 'databases' existing = { name: 'default' }
}

resource vault 'Microsoft.KeyVault/vaults@2025-05-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    tenantId: tenant().tenantId
    sku: { family: 'A', name: 'standard' }
    enableRbacAuthorization: true
    enableSoftDelete: true
    softDeleteRetentionInDays: 7
    // Once on it cannot be taken back, and Azure refuses a plain false.
    enablePurgeProtection: purgeProtection ? true : null
    publicNetworkAccess: 'Disabled'
    networkAcls: { bypass: 'AzureServices', defaultAction: 'Deny' }
  }

  resource databaseUrl 'secrets' = {
    name: 'database-url'
    properties: {
      value: 'postgresql://${postgresAddress.user}:${postgresPassword}@${postgresAddress.host}:5432/${postgresAddress.database}?sslmode=require'
    }
  }

  resource redisUrl 'secrets' = {
    name: 'redis-url'
    properties: {
      // Without ssl_cert_reqs Celery's transport would take any certificate.
      value: 'rediss://:${uriComponent(redis::database.listKeys().primaryKey)}@${redis.properties.hostName}:10000/0?ssl_cert_reqs=required'
    }
  }

  resource auth 'secrets' = {
    name: 'auth-secret'
    properties: { value: authSecret }
  }

  resource webhooks 'secrets' = {
    name: 'webhooks-secret'
    properties: { value: webhooksSecret }
  }

  resource flower 'secrets' = {
    name: 'flower-basic-auth'
    properties: { value: flowerBasicAuth }
  }
}

var secretsUser = '4633458b-17de-408a-b874-0445c86b69e6'

resource reads 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(vault.id, principalId, secretsUser)
  scope: vault
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', secretsUser)
  }
}

module endpoint 'endpoint.bicep' = {
  name: 'endpoint-vault'
  params: {
    name: '${name}-vault'
    location: location
    tags: tags
    subnetId: subnetId
    networkId: networkId
    serviceId: vault.id
    groupId: 'vault'
    zoneName: 'privatelink.vaultcore.azure.net'
  }
}

output name string = vault.name
