// The artifacts: uploads, audio and stage outputs, behind abfs://.

param name string
param location string
param tags object
param sku string

@description('Days after which an artifact is deleted; 0: never.')
param days int

@description('Who reads and writes artifacts.')
param principalId string

param subnetId string
param networkId string

resource account 'Microsoft.Storage/storageAccounts@2025-06-01' = {
  name: name
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: { name: sku }
  properties: {
    accessTier: 'Hot'
    allowBlobPublicAccess: false
    allowSharedKeyAccess: false
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
    publicNetworkAccess: 'Disabled'
    networkAcls: { bypass: 'None', defaultAction: 'Deny' }
  }

  resource blobs 'blobServices' = {
    name: 'default'
    resource container 'containers' = {
      name: 'artifacts'
      properties: { publicAccess: 'None' }
    }
  }

  // A backstop: the service clears away itself, by retention.audio_hours.
  resource lifecycle 'managementPolicies' = if (days > 0) {
    name: 'default'
    dependsOn: [blobs]
    properties: {
      policy: {
        rules: [
          {
            name: 'forgotten-artifacts'
            type: 'Lifecycle'
            enabled: true
            definition: {
              filters: { blobTypes: ['blockBlob'], prefixMatch: ['artifacts/'] }
              actions: { baseBlob: { delete: { daysAfterModificationGreaterThan: days } } }
            }
          }
        ]
      }
    }
  }
}

var blobDataContributor = 'ba92f5b4-2d11-453d-a403-e96b0029c9fe'

resource writes 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(account::blobs::container.id, principalId, blobDataContributor)
  scope: account::blobs::container
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', blobDataContributor)
  }
}

module endpoint 'endpoint.bicep' = {
  name: 'endpoint-blob'
  params: {
    name: '${name}-blob'
    location: location
    tags: tags
    subnetId: subnetId
    networkId: networkId
    serviceId: account.id
    groupId: 'blob'
    zoneName: 'privatelink.blob.${environment().suffixes.storage}'
  }
}

output url string = 'abfs://${account::blobs::container.name}@${account.name}.dfs.${environment().suffixes.storage}'
