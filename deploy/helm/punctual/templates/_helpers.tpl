{{- define "punctual.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Labels of all that belongs to a component: (list . "server") */}}
{{- define "punctual.labels" -}}
{{- $root := index . 0 -}}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
{{ include "punctual.selector" . }}
{{- end -}}

{{- define "punctual.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ default $root.Chart.Name $root.Values.nameOverride }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{- define "punctual.scheme" -}}
{{- if .Values.insecure }}http{{ else }}https{{ end -}}
{{- end -}}

{{/* The domain in which each server has a name. */}}
{{- define "punctual.nodes" -}}
{{ include "punctual.fullname" . }}-nodes.{{ .Release.Namespace }}.svc
{{- end -}}

{{/* The servers' own addresses: agents that know them all follow a leader at once. */}}
{{- define "punctual.addresses" -}}
{{- $addresses := list -}}
{{- range $number := until (int .Values.server.replicas) -}}
{{- $name := printf "%s-%d.%s" (include "punctual.fullname" $) $number (include "punctual.nodes" $) -}}
{{- $addresses = append $addresses (printf "%s://%s:7117" (include "punctual.scheme" $) $name) -}}
{{- end -}}
{{- join "," $addresses -}}
{{- end -}}

{{/* Names under which clients may come; a request under another is refused. Prometheus and probes use the pod's address. */}}
{{- define "punctual.hosts" -}}
{{- $name := include "punctual.fullname" . -}}
{{- $space := .Release.Namespace -}}
{{- $names := list "$(POD_IP)" "localhost" $name (printf "%s.%s" $name $space) (printf "%s.%s.svc" $name $space) -}}
{{- $names = append $names (printf "%s.%s.svc.%s" $name $space .Values.clusterDomain) -}}
{{- join "," (concat $names .Values.server.hosts) -}}
{{- end -}}

{{- define "punctual.cluster" -}}
{{- default (printf "%s-%s" .Release.Namespace .Release.Name) .Values.etcd.cluster -}}
{{- end -}}

{{/* (list . "server" given) */}}
{{- define "punctual.spread" -}}
{{- $root := index . 0 -}}
{{- $given := index . 2 -}}
{{- if $given -}}
{{- toYaml $given -}}
{{- else -}}
{{- range $key := list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
- topologyKey: {{ $key }}
  maxSkew: 1
  whenUnsatisfiable: ScheduleAnyway
  labelSelector:
    matchLabels:
      {{- include "punctual.selector" (list $root (index $ 1)) | nindent 6 }}
{{- end }}
{{- end -}}
{{- end -}}

{{/* What cannot work is refused before anything is made. */}}
{{- define "punctual.check" -}}
{{- if not .Values.database.existingSecret -}}
{{- fail "database.existingSecret: name a secret with the URL of a Postgres" -}}
{{- end -}}
{{- if and (gt (int .Values.server.replicas) 1) (not .Values.etcd.endpoints) -}}
{{- fail "etcd.endpoints: several servers need an etcd that elects one of them" -}}
{{- end -}}
{{- range .Values.etcd.endpoints -}}
{{- if and (hasPrefix "https" .) (not $.Values.etcd.tlsSecret) -}}
{{- fail (printf "etcd.tlsSecret: %s needs a secret with ca.crt" .) -}}
{{- end -}}
{{- end -}}
{{- if and .Values.insecure .Values.tls.existingSecret -}}
{{- fail "insecure: there is a certificate in tls.existingSecret; give one of them" -}}
{{- end -}}
{{- if not .Values.insecure -}}
{{- if not .Values.tls.existingSecret -}}
{{- fail "tls.existingSecret: name a secret with a certificate, or say insecure" -}}
{{- end -}}
{{- if and .Values.agent.enabled (not .Values.agent.tokenSecret) -}}
{{- fail "agent.tokenSecret: name a secret with a token of a role AGENT, or set agent.enabled to false until you have made one" -}}
{{- end -}}
{{- if and .Values.serviceMonitor.enabled (not .Values.serviceMonitor.tokenSecret) -}}
{{- fail "serviceMonitor.tokenSecret: name a secret with a token of a role VIEWER" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The secrets that a server reads from files: the volume, which is also the folder's name, and the secret's. */}}
{{- define "punctual.secrets" -}}
{{- $secrets := list -}}
{{- if not .Values.insecure -}}
{{- $secrets = append $secrets (dict "name" "tls" "secret" .Values.tls.existingSecret) -}}
{{- end -}}
{{- if .Values.etcd.endpoints -}}
{{- $more := dict "etcd-tls" .Values.etcd.tlsSecret "etcd-user" .Values.etcd.userSecret "peers" .Values.peerSecret.existingSecret -}}
{{- range $name, $secret := $more -}}
{{- if $secret -}}
{{- $secrets = append $secrets (dict "name" $name "secret" $secret) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toYaml $secrets -}}
{{- end -}}
