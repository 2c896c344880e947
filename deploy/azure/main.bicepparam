using 'main.bicep'

// Everything else has a default in main.bicep. The secrets come from the environment and are
// nowhere written down but in the vault.
param name = 'emotionclf'
param adminPrincipalId = readEnvironmentVariable('ADMIN_PRINCIPAL_ID')
param postgresPassword = readEnvironmentVariable('POSTGRES_PASSWORD')
param authSecret = readEnvironmentVariable('AUTH_SECRET')
param webhooksSecret = readEnvironmentVariable('WEBHOOKS_SECRET')
param flowerBasicAuth = readEnvironmentVariable('FLOWER_BASIC_AUTH')
