// Where the cluster's logs go.

param name string
param location string
param tags object
param days int

resource workspace 'Microsoft.OperationalInsights/workspaces@2025-07-01' = {
  name: name
  location: location
  tags: tags
  properties: { sku: { name: 'PerGB2018' }, retentionInDays: days }
}

output id string = workspace.id
