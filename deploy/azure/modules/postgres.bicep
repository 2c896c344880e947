// Postgres: the queue of record, inside the virtual network, over TLS alone.

param name string
param location string
param tags object
param sku string
param tier string
param storageGb int
param highAvailability string
param backupDays int
param subnetId string
param networkId string

@secure()
param password string

var user = 'emotion'
var database = 'emotion_clf'

resource zone 'Microsoft.Network/privateDnsZones@2024-06-01' = {
  name: '${name}.private.postgres.database.azure.com'
  location: 'global'
  tags: tags

  resource link 'virtualNetworkLinks' = {
    name: 'network'
    location: 'global'
    properties: { registrationEnabled: false, virtualNetwork: { id: networkId } }
  }
}

resource server 'Microsoft.DBforPostgreSQL/flexibleServers@2025-08-01' = {
  name: name
  location: location
  tags: tags
  sku: { name: sku, tier: tier }
  dependsOn: [zone::link]
  properties: {
    version: '17'
    administratorLogin: user
    administratorLoginPassword: password
    authConfig: { activeDirectoryAuth: 'Disabled', passwordAuth: 'Enabled' }
    storage: { storageSizeGB: storageGb, autoGrow: 'Enabled' }
    backup: { backupRetentionDays: backupDays, geoRedundantBackup: 'Disabled' }
    highAvailability: { mode: highAvailability }
    network: {
      delegatedSubnetResourceId: subnetId
      privateDnsZoneArmResourceId: zone.id
      publicNetworkAccess: 'Disabled'
    }
  }

  resource tls 'configurations' = {
    name: 'require_secure_transport'
    properties: { value: 'on', source: 'user-override' }
  }

  resource jobs 'databases' = {
    name: database
    // One change of a server at a time.
    dependsOn: [tls]
    properties: { charset: 'UTF8', collation: 'en_US.utf8' }
  }
}

@description('Where the database is, without the password.')
output address object = {
  user: user
  host: server.properties.fullyQualifiedDomainName
  database: server::jobs.name
}
