// AKS: a pool for everything, and one of GPUs that grows from nothing. Cilium enforces the chart's
// network policies; KEDA scales the workers; the vault's secrets come in through the CSI driver.

param name string
param location string
param tags object
param tier string
param networkName string
param subnetName string
param workspaceId string
param systemNodeSize string
param systemNodesMin int
param systemNodesMax int
param gpuNodeSize string
param gpuNodesMax int
param authorizedIpRanges string[]
param adminPrincipalId string
param adminPrincipalType string

resource network 'Microsoft.Network/virtualNetworks@2024-10-01' existing = {
  name: networkName
  resource subnet 'subnets' existing = { name: subnetName }
}

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: '${name}-cluster'
  location: location
  tags: tags
}

var networkContributor = '4d97b98b-1d4f-4787-a291-c67834d212e7'
var clusterAdmin = 'b1ff04bb-8a4e-4dc4-8eb5-8693973ce19b'

// Load balancers are put into the subnet of the nodes.
resource joins 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(network::subnet.id, identity.id, networkContributor)
  scope: network::subnet
  properties: {
    principalId: identity.properties.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', networkContributor)
  }
}

resource cluster 'Microsoft.ContainerService/managedClusters@2025-08-01' = {
  name: name
  location: location
  tags: tags
  sku: { name: 'Base', tier: tier }
  identity: { type: 'UserAssigned', userAssignedIdentities: { '${identity.id}': {} } }
  dependsOn: [joins]
  properties: {
    dnsPrefix: name
    disableLocalAccounts: true
    enableRBAC: true
    aadProfile: { managed: true, enableAzureRBAC: true }
    apiServerAccessProfile: { authorizedIPRanges: authorizedIpRanges }
    autoUpgradeProfile: { upgradeChannel: 'patch', nodeOSUpgradeChannel: 'NodeImage' }
    oidcIssuerProfile: { enabled: true }
    securityProfile: { workloadIdentity: { enabled: true } }
    workloadAutoScalerProfile: { keda: { enabled: true } }
    networkProfile: {
      networkPlugin: 'azure'
      networkPluginMode: 'overlay'
      networkDataplane: 'cilium'
      networkPolicy: 'cilium'
      loadBalancerSku: 'standard'
      outboundType: 'loadBalancer'
      podCidr: '10.244.0.0/16'
      serviceCidr: '10.245.0.0/16'
      dnsServiceIP: '10.245.0.10'
    }
    addonProfiles: {
      azureKeyvaultSecretsProvider: {
        enabled: true
        config: { enableSecretRotation: 'true', rotationPollInterval: '5m' }
      }
      omsagent: {
        enabled: true
        config: { logAnalyticsWorkspaceResourceID: workspaceId, useAADAuth: 'true' }
      }
    }
    // A GPU node that is idle for ten minutes goes.
    autoScalerProfile: { 'scale-down-unneeded-time': '10m', expander: 'least-waste' }
    agentPoolProfiles: [
      {
        name: 'system'
        mode: 'System'
        type: 'VirtualMachineScaleSets'
        vmSize: systemNodeSize
        osType: 'Linux'
        osSKU: 'Ubuntu'
        enableAutoScaling: true
        count: systemNodesMin
        minCount: systemNodesMin
        maxCount: systemNodesMax
        vnetSubnetID: network::subnet.id
        upgradeSettings: { maxSurge: '33%' }
      }
    ]
  }

  // AKS installs NVIDIA's driver; the device plugin is installed by hand (README.md).
  resource gpu 'agentPools' = {
    name: 'gpu'
    properties: {
      mode: 'User'
      type: 'VirtualMachineScaleSets'
      vmSize: gpuNodeSize
      osType: 'Linux'
      osSKU: 'Ubuntu'
      gpuProfile: { driver: 'Install' }
      enableAutoScaling: true
      count: 0
      minCount: 0
      maxCount: gpuNodesMax
      nodeTaints: ['sku=gpu:NoSchedule']
      // What NVIDIA's device plugin looks for.
      nodeLabels: { 'nvidia.com/gpu.present': 'true' }
      vnetSubnetID: network::subnet.id
    }
  }
}

// What the add-on sends to the workspace: the containers' output and what Kubernetes says of them, and
// none of its metrics, which cost more than they tell beside Prometheus.
var streams = [
  'Microsoft-ContainerLogV2'
  'Microsoft-KubeEvents'
  'Microsoft-KubePodInventory'
]

resource collection 'Microsoft.Insights/dataCollectionRules@2023-03-11' = {
  name: 'MSCI-${location}-${name}'
  location: location
  tags: tags
  kind: 'Linux'
  properties: {
    dataSources: {
      extensions: [
        {
          name: 'ContainerInsightsExtension'
          extensionName: 'ContainerInsights'
          streams: streams
          extensionSettings: {
            dataCollectionSettings: {
              interval: '1m'
              namespaceFilteringMode: 'Off'
              enableContainerLogV2: true
            }
          }
        }
      ]
    }
    destinations: { logAnalytics: [{ name: 'workspace', workspaceResourceId: workspaceId }] }
    dataFlows: [{ streams: streams, destinations: ['workspace'] }]
  }
}

resource collects 'Microsoft.Insights/dataCollectionRuleAssociations@2023-03-11' = {
  name: 'ContainerInsightsExtension'
  scope: cluster
  properties: { dataCollectionRuleId: collection.id }
}

resource administers 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(cluster.id, adminPrincipalId, clusterAdmin)
  scope: cluster
  properties: {
    principalId: adminPrincipalId
    principalType: adminPrincipalType
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', clusterAdmin)
  }
}

output name string = cluster.name
output oidcIssuer string = cluster.properties.oidcIssuerProfile.issuerURL
output kubeletPrincipalId string = cluster.properties.identityProfile.kubeletidentity.objectId
