// Redis: the broker. Azure Managed Redis, since Azure Cache for Redis is being retired. NoCluster,
// as Celery's commands name several keys at once; NoEviction, as a hint must not vanish unseen.

param name string
param location string
param tags object
param sku string
param highAvailability string
param subnetId string
param networkId string

resource redis 'Microsoft.Cache/redisEnterprise@2025-07-01' = {
  name: name
  location: location
  tags: tags
  sku: { name: sku }
  properties: {
    highAvailability: highAvailability
    minimumTlsVersion: '1.2'
    publicNetworkAccess: 'Disabled'
  }

  resource database 'databases' = {
    name: 'default'
    properties: {
      port: 10000
      clientProtocol: 'Encrypted'
      clusteringPolicy: 'NoCluster'
      evictionPolicy: 'NoEviction'
      accessKeysAuthentication: 'Enabled'
    }
  }
}

module endpoint 'endpoint.bicep' = {
  name: 'endpoint-redis'
  params: {
    name: '${name}-redis'
    location: location
    tags: tags
    subnetId: subnetId
    networkId: networkId
    serviceId: redis.id
    groupId: 'redisEnterprise'
    zoneName: 'privatelink.redis.azure.net'
  }
  dependsOn: [redis::database]
}

output name string = redis.name
