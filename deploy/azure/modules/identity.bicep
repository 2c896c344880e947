// An identity that one service account of the cluster may take, without any password.

param name string
param location string
param tags object

@description('Who vouches for the service account: the cluster.')
param issuer string

@description('The service account, as system:serviceaccount:NAMESPACE:NAME.')
param subject string

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: name
  location: location
  tags: tags

  resource federation 'federatedIdentityCredentials' = {
    name: 'cluster'
    properties: {
      issuer: issuer
      subject: subject
      audiences: ['api://AzureADTokenExchange']
    }
  }
}

output clientId string = identity.properties.clientId
output principalId string = identity.properties.principalId
