{{- define "emotion-clf.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 43 | trimSuffix "-" }}
{{- end }}

{{- /* Short enough for what is appended: of a StatefulSet 52 characters are left, of a label 63. */}}
{{- define "emotion-clf.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 43 | trimSuffix "-" }}
{{- else if contains (include "emotion-clf.name" .) .Release.Name }}
{{- .Release.Name | trunc 43 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "emotion-clf.name" .) | trunc 43 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- /* Labels of anything; takes root and component. */}}
{{- define "emotion-clf.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
app.kubernetes.io/part-of: emotion-clf
{{ include "emotion-clf.selector" . }}
{{- end }}

{{- /* What selects the pods of a component, for ever the same. */}}
{{- define "emotion-clf.selector" -}}
app.kubernetes.io/name: {{ include "emotion-clf.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- /* Name of an image; takes root and its key under image. */}}
{{- define "emotion-clf.image" -}}
{{- $image := index .root.Values.image .image }}
{{- $name := $image.repository }}
{{- with .root.Values.image.registry }}{{ $name = printf "%s/%s" (trimSuffix "/" .) $name }}{{ end }}
{{- $released := ternary (printf "%s-gpu" .root.Chart.AppVersion) .root.Chart.AppVersion (eq .image "workerGpu") }}
{{- if $image.digest }}{{ $name }}@{{ $image.digest }}{{ else }}{{ $name }}:{{ default $released $image.tag }}{{ end }}
{{- end }}

{{- define "emotion-clf.serviceAccount" -}}
{{- default (ternary (include "emotion-clf.fullname" .) "default" .Values.serviceAccount.create) .Values.serviceAccount.name }}
{{- end }}

{{- define "emotion-clf.secret" -}}
{{- default (include "emotion-clf.fullname" .) .Values.secrets.existingSecret }}
{{- end }}

{{- define "emotion-clf.claim" -}}
{{- default (printf "%s-artifacts" (include "emotion-clf.fullname" .)) .Values.artifacts.existingClaim }}
{{- end }}

{{- /* One variable out of the secret; takes root, key and, where it may be missing, optional. */}}
{{- define "emotion-clf.fromSecret" -}}
- name: {{ .key }}
  valueFrom:
    secretKeyRef:
      name: {{ include "emotion-clf.secret" .root }}
      key: {{ .key }}
      {{- if .optional }}
      optional: true
      {{- end }}
{{- end }}

{{- /* What every process needs to start: its settings, the database, the broker, the store. */}}
{{- define "emotion-clf.env" -}}
- name: EMOTION_CLF_CONFIG
  value: /etc/emotion-clf/config.yaml
- name: ARTIFACT_URL
  value: {{ default "file:///data/artifacts" .Values.artifactUrl | quote }}
{{ include "emotion-clf.fromSecret" (dict "root" . "key" "DATABASE_URL") }}
{{ include "emotion-clf.fromSecret" (dict "root" . "key" "REDIS_URL") }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "emotion-clf.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{- /* What all pods have in common; takes root, component, values and, where it uses the store, store. */}}
{{- define "emotion-clf.pod" -}}
{{- $root := .root -}}
serviceAccountName: {{ ternary (include "emotion-clf.serviceAccount" $root) "default" (default false .store) }}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
{{- with $root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with .values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- /* Spreads the pods of a deployment over zones and nodes; takes root and component. */}}
{{- define "emotion-clf.spread" -}}
{{- if .root.Values.topologySpread -}}
topologySpreadConstraints:
  {{- $all := . }}
  {{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{- include "emotion-clf.selector" $all | nindent 8 }}
  {{- end }}
{{- end -}}
{{- end }}

{{- /* Metadata of a pod; takes root, component, values and store. Other settings make other pods. */}}
{{- define "emotion-clf.podMetadata" -}}
labels:
  {{- include "emotion-clf.labels" . | nindent 2 }}
  {{- if .store }}
  {{- with .root.Values.serviceAccount.podLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
  {{- end }}
annotations:
  checksum/settings: {{ include "emotion-clf.settings" .root | sha256sum }}
  checksum/secrets: {{ toJson .root.Values.secrets | sha256sum }}
  {{- with .values.podAnnotations }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}

{{- define "emotion-clf.mounts" -}}
- {name: tmp, mountPath: /tmp}
- {name: settings, mountPath: /etc/emotion-clf, readOnly: true}
{{- if and .store (not .root.Values.artifactUrl) }}
- {name: artifacts, mountPath: /data}
{{- end }}
{{- if and .store .root.Values.extraVolumeMounts }}
{{ toYaml .root.Values.extraVolumeMounts }}
{{- end }}
{{- end }}

{{- define "emotion-clf.volumes" -}}
- name: tmp
  emptyDir: {sizeLimit: {{ .values.tmpSize }}}
- name: settings
  configMap:
    name: {{ include "emotion-clf.fullname" .root }}
{{- if and .store (not .root.Values.artifactUrl) }}
- name: artifacts
  persistentVolumeClaim:
    claimName: {{ include "emotion-clf.claim" .root }}
{{- end }}
{{- if and .store .root.Values.extraVolumes }}
{{ toYaml .root.Values.extraVolumes }}
{{- end }}
{{- end }}

{{- /* Probes of what is asked by a command; takes process and, for slow starts, patience. They look
at the process alone: a restart brings back no database. */}}
{{- define "emotion-clf.execProbes" -}}
startupProbe:
  exec: &health {command: [python, -m, workers.health, {{ .process }}]}
  periodSeconds: 5
  timeoutSeconds: 10
  failureThreshold: {{ default 60 .patience }}
livenessProbe:
  exec: *health
  periodSeconds: 30
  timeoutSeconds: 10
  failureThreshold: 4
{{- end }}

{{- /* config.yaml: what the chart knows, under what the values say. */}}
{{- define "emotion-clf.settings" -}}
{{- $name := include "emotion-clf.fullname" . }}
{{- $known := dict
  "api" (dict "host" "0.0.0.0" "port" 8000 "trusted_proxies" (ternary 1 0 .Values.ingress.enabled))
  "egress" (dict "host" "0.0.0.0" "port" 3128)
  "metrics" (dict "worker_host" "0.0.0.0" "worker_port" 9100)
}}
{{- if .Values.egress.enabled }}
{{- $_ := set $known "source" (dict "proxy" (printf "http://%s-egress:3128" $name)) }}
{{- end }}
{{- toYaml (mergeOverwrite $known (deepCopy .Values.settings)) }}
{{- end }}

{{- /* Stops what cannot work, with a sentence that says what to do. */}}
{{- define "emotion-clf.check" -}}
{{- $secrets := .Values.secrets }}
{{- if not $secrets.existingSecret }}
{{- if not (or .Values.postgres.bundled $secrets.databaseUrl) }}
{{- fail "Where is Postgres? Set secrets.existingSecret, secrets.databaseUrl or postgres.bundled." }}
{{- end }}
{{- if not (or .Values.redis.bundled $secrets.redisUrl) }}
{{- fail "Where is Redis? Set secrets.existingSecret, secrets.redisUrl or redis.bundled." }}
{{- end }}
{{- end }}
{{- if .Values.networkPolicy.enabled }}
{{- if not (or .Values.postgres.bundled .Values.networkPolicy.database.cidrs) }}
{{- fail "networkPolicy.database.cidrs is empty: nothing would reach Postgres." }}
{{- end }}
{{- if not (or .Values.redis.bundled .Values.networkPolicy.broker.cidrs) }}
{{- fail "networkPolicy.broker.cidrs is empty: nothing would reach Redis." }}
{{- end }}
{{- if and .Values.artifactUrl (not .Values.networkPolicy.objectStore.cidrs) }}
{{- fail "networkPolicy.objectStore.cidrs is empty: nothing would reach the artifacts." }}
{{- end }}
{{- end }}
{{- range $name := list "workerCpu" "workerGpu" }}
{{- $worker := index $.Values $name }}
{{- if and $worker.autoscaling.enabled (le (int $worker.autoscaling.cooldownSeconds) (int $worker.drainSeconds)) }}
{{- fail (printf "%s.autoscaling.cooldownSeconds must be longer than drainSeconds, %v." $name $worker.drainSeconds) }}
{{- end }}
{{- end }}
{{- range $name := list "api" "workerCpu" "workerGpu" }}
{{- $scaling := (index $.Values $name).autoscaling }}
{{- if gt (int $scaling.minReplicas) (int $scaling.maxReplicas) }}
{{- fail (printf "%s.autoscaling.minReplicas is more than maxReplicas." $name) }}
{{- end }}
{{- end }}
{{- end }}
