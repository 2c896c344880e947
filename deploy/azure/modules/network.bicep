// One virtual network: the nodes, Postgres, and the private endpoints of the other stores. Pods and
// services have ranges of their own in the cluster (cluster.bicep).

param name string
param location string
param tags object

var range = '10.10.0.0/16'
var nodes = '10.10.0.0/22'
var postgres = '10.10.8.0/28'
var endpoints = '10.10.8.32/27'

resource network 'Microsoft.Network/virtualNetworks@2024-10-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    addressSpace: { addressPrefixes: [range] }
    subnets: [
      { name: 'nodes', properties: { addressPrefix: nodes } }
      {
        name: 'postgres'
        properties: {
          addressPrefix: postgres
          // Postgres archives its log into a storage account.
          serviceEndpoints: [{ service: 'Microsoft.Storage' }]
          delegations: [
            {
              name: 'postgres'
              properties: { serviceName: 'Microsoft.DBforPostgreSQL/flexibleServers' }
            }
          ]
        }
      }
      { name: 'endpoints', properties: { addressPrefix: endpoints } }
    ]
  }

  resource nodesSubnet 'subnets' existing = { name: 'nodes' }
  resource postgresSubnet 'subnets' existing = { name: 'postgres' }
  resource endpointsSubnet 'subnets' existing = { name: 'endpoints' }
}

output id string = network.id
output name string = network.name
output nodesName string = network::nodesSubnet.name
output postgresId string = network::postgresSubnet.id
output postgresCidr string = postgres
output endpointsId string = network::endpointsSubnet.id
output endpointsCidr string = endpoints
