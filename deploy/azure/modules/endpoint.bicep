// A private endpoint: one address in the virtual network by which a service is reached, and the DNS
// zone that makes the service's ordinary name lead there.

param name string
param location string
param tags object
param subnetId string
param networkId string

@description('The service that is reached.')
param serviceId string

@description('Which of its parts, such as blob.')
param groupId string

@description('The zone that Azure looks names of such services up in.')
param zoneName string

resource endpoint 'Microsoft.Network/privateEndpoints@2024-10-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    subnet: { id: subnetId }
    privateLinkServiceConnections: [
      { name: name, properties: { privateLinkServiceId: serviceId, groupIds: [groupId] } }
    ]
  }
}

resource zone 'Microsoft.Network/privateDnsZones@2024-06-01' = {
  name: zoneName
  location: 'global'
  tags: tags

  resource link 'virtualNetworkLinks' = {
    name: 'network'
    location: 'global'
    properties: { registrationEnabled: false, virtualNetwork: { id: networkId } }
  }
}

resource group 'Microsoft.Network/privateEndpoints/privateDnsZoneGroups@2024-10-01' = {
  parent: endpoint
  name: 'default'
  properties: {
    privateDnsZoneConfigs: [{ name: 'zone', properties: { privateDnsZoneId: zone.id } }]
  }
}
