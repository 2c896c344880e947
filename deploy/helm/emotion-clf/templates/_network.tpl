{{- /* Rules of network policies' egress, each a list to be joined with others. All take root. */}}

{{- define "emotion-clf.toDns" -}}
- to: {{- toYaml .Values.networkPolicy.dns | nindent 4 }}
  ports:
    - {protocol: UDP, port: 53}
    - {protocol: TCP, port: 53}
{{- end }}

{{- define "emotion-clf.toComponent" -}}
- to:
    - podSelector:
        matchLabels: {{- include "emotion-clf.selector" . | nindent 10 }}
  ports:
    - {protocol: TCP, port: {{ .port }}}
{{- end }}

{{- define "emotion-clf.toNetworks" -}}
- to:
    {{- range .cidrs }}
    - ipBlock: {cidr: {{ . | quote }}}
    {{- end }}
  ports:
    - {protocol: TCP, port: {{ .port }}}
{{- end }}

{{- define "emotion-clf.toDatabase" -}}
{{- if .Values.postgres.bundled }}
{{- include "emotion-clf.toComponent" (dict "root" . "component" "postgres" "port" 5432) }}
{{- else }}
{{- include "emotion-clf.toNetworks" .Values.networkPolicy.database }}
{{- end }}
{{- end }}

{{- define "emotion-clf.toBroker" -}}
{{- if .Values.redis.bundled }}
{{- include "emotion-clf.toComponent" (dict "root" . "component" "redis" "port" 6379) }}
{{- else }}
{{- include "emotion-clf.toNetworks" .Values.networkPolicy.broker }}
{{- end }}
{{- end }}

{{- /* Database, broker and, where there is one, the object store. */}}
{{- define "emotion-clf.toStores" -}}
{{- include "emotion-clf.toDatabase" . }}
{{ include "emotion-clf.toBroker" . }}
{{- if .Values.artifactUrl }}
{{ include "emotion-clf.toNetworks" .Values.networkPolicy.objectStore }}
{{- end }}
{{- end }}

{{- /* Where downloads and reports leave: the proxy, or straight to where the proxy would go. */}}
{{- define "emotion-clf.toOutside" -}}
{{- if .Values.egress.enabled }}
{{- include "emotion-clf.toComponent" (dict "root" . "component" "egress" "port" 3128) }}
{{- else }}
{{- include "emotion-clf.toPublic" . }}
{{- end }}
{{- end }}

{{- /* What ml.source.addresses takes for public, less what egressExcept adds. */}}
{{- define "emotion-clf.toPublic" -}}
{{- $ipv4 := list "0.0.0.0/8" "10.0.0.0/8" "100.64.0.0/10" "127.0.0.0/8" "168.63.129.16/32"
  "169.254.0.0/16" "172.16.0.0/12" "192.0.0.0/24" "192.0.2.0/24" "192.31.196.0/24" "192.52.193.0/24"
  "192.88.99.0/24" "192.168.0.0/16" "192.175.48.0/24" "198.18.0.0/15" "198.51.100.0/24"
  "203.0.113.0/24" "224.0.0.0/4" "240.0.0.0/4" -}}
{{- $ipv6 := list "2001::/23" "2001:db8::/32" "2002::/16" "2620:4f:8000::/48" "3fff::/20" -}}
{{- range .Values.networkPolicy.egressExcept -}}
{{- if contains ":" . }}{{ $ipv6 = append $ipv6 . }}{{ else }}{{ $ipv4 = append $ipv4 . }}{{ end -}}
{{- end -}}
- to:
    - ipBlock:
        cidr: 0.0.0.0/0
        except: {{- toYaml $ipv4 | nindent 10 }}
    - ipBlock:
        cidr: 2000::/3
        except: {{- toYaml $ipv6 | nindent 10 }}
  ports:
    - {protocol: TCP, port: 80}
    - {protocol: TCP, port: 443}
{{- $allowed := dig "source" "allowed_networks" list .Values.settings }}
{{- if kindIs "string" $allowed }}{{ $allowed = splitList "," (nospace $allowed) }}{{ end }}
{{- if $allowed }}
- to:
    {{- range $allowed }}
    - ipBlock: {cidr: {{ . | quote }}}
    {{- end }}
{{- end }}
{{- end }}
