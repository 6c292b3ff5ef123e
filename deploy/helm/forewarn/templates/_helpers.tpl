{{- define "forewarn.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{- else -}}{{ printf "%s-%s" .Release.Name $name | trunc 50 | trimSuffix "-" }}{{- end -}}
{{- end -}}
{{- end -}}

{{- define "forewarn.selector" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "forewarn.labels" -}}
{{ include "forewarn.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: forewarn
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "forewarn.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end -}}
{{- end -}}

{{- define "forewarn.tokenSecret" -}}
{{- if .Values.nats.tokenSecret -}}{{ .Values.nats.tokenSecret }}{{- else if not .Values.nats.url -}}{{ include "forewarn.fullname" . }}-nats{{- end -}}
{{- end -}}

{{/* The nats section of those who connect. */}}
{{- define "forewarn.nats" -}}
url: {{ if .Values.nats.url }}{{ .Values.nats.url | quote }}{{ else }}nats://{{ include "forewarn.fullname" . }}-nats:4222{{ end }}
{{- if include "forewarn.tokenSecret" . }}
token_file: /etc/forewarn/nats/token
{{- end }}
{{- if .Values.nats.credsSecret }}
creds_file: /etc/forewarn/nats/creds
{{- end }}
{{- if .Values.nats.tlsSecret }}
ca_file: /etc/forewarn/nats/ca.crt
{{- end }}
{{- if .Values.nats.url }}
replicas: {{ .Values.nats.replicas }}
{{- end }}
record_partitions: {{ .Values.nats.recordPartitions }}
hit_partitions: {{ .Values.nats.hitPartitions }}
{{- end -}}

{{- define "forewarn.signatures" -}}
{{- if .Values.signatures.files }}
signatures: [/etc/forewarn/signatures]
{{- end }}
{{- if not .Values.signatures.catalog }}
no_catalog: true
{{- end }}
custom_resources: {{ .Values.signatures.customResources }}
{{- end -}}

{{/* Where warnings go: for the part that notifies. */}}
{{- define "forewarn.notify" -}}
{{- range $section := list "notify" "routes" "inhibit" "maintenance" }}
{{- with index $.Values $section }}
{{ $section }}:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- end -}}

{{/* What clusters share of finished warnings: for every part that shows or tells one. */}}
{{- define "forewarn.sightings" -}}
{{- with .Values.sightings.share }}
{{- if .url }}
sightings:
  share:
    url: {{ .url | quote }}
    {{- with .bucket }}
    bucket: {{ . }}
    {{- end }}
    {{- if .tokenSecret }}
    token_file: /etc/forewarn/sightings/token
    {{- end }}
    {{- if .credsSecret }}
    creds_file: /etc/forewarn/sightings/creds
    {{- end }}
    {{- if .tlsSecret }}
    ca_file: /etc/forewarn/sightings/ca.crt
    {{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{/* The part that serves the console, if any does. */}}
{{- define "forewarn.consolePart" -}}
{{- if .Values.console.enabled -}}{{ ternary "console" "matcher" (ne .Values.nats.url "") }}{{- end -}}
{{- end -}}

{{/* The Secret with the console's token: none where a proxy alone signs people in. */}}
{{- define "forewarn.consoleSecret" -}}
{{- if .Values.console.auth.tokenSecret -}}{{ .Values.console.auth.tokenSecret }}{{- else if not .Values.console.auth.proxy.header -}}{{ include "forewarn.fullname" . }}-console{{- end -}}
{{- end -}}

{{/* The section console of a part: (list root part). Whoever does not serve it links to it. */}}
{{- define "forewarn.console" -}}
{{- $root := index . 0 -}}
{{- $v := $root.Values.console -}}
{{- if eq (index . 1) (include "forewarn.consolePart" $root) }}
console:
  listen: 0.0.0.0:{{ $v.port }}
  {{- with $v.url }}
  url: {{ . | quote }}
  {{- end }}
  auth:
    {{- if include "forewarn.consoleSecret" $root }}
    token_file: /etc/forewarn/console/token
    {{- end }}
    {{- if $v.auth.proxy.header }}
    proxy:
      {{- toYaml $v.auth.proxy | nindent 6 }}
    {{- end }}
  {{- if $v.tlsSecret }}
  cert_file: /etc/forewarn/console/tls.crt
  key_file: /etc/forewarn/console/tls.key
  {{- end }}
  writable: {{ $v.writable }}
{{- else if $v.url }}
console:
  url: {{ $v.url | quote }}
{{- end }}
{{- end -}}

{{/* The configuration of a part: (list root own text). */}}
{{- define "forewarn.config" -}}
{{- $root := index . 0 -}}
{{- $config := index . 2 | fromYaml -}}
{{- if $root.Values.cluster }}{{- $_ := set $config "cluster" $root.Values.cluster }}{{- end }}
{{- $config = mergeOverwrite $config (deepCopy $root.Values.config) (deepCopy (index . 1)) -}}
{{- toYaml $config -}}
{{- end -}}

{{- /* Says yes when a destination writes Events, for which whoever notifies needs the API server. */ -}}
{{- define "forewarn.writesEvents" -}}
{{- range .Values.notify }}{{- if eq (toString .type) "kubernetes" }}yes{{- break }}{{- end }}{{- end }}
{{- end -}}

{{/* A part's pod: (dict "root" "part" "values" "command" "account" "mounts" "volumes" "signatures" "checksum"). */}}
{{- define "forewarn.pod" -}}
{{- $root := .root -}}
{{- $v := .values -}}
metadata:
  labels:
    {{- include "forewarn.selector" $root | nindent 4 }}
    app.kubernetes.io/component: {{ .part }}
  annotations:
    kubectl.kubernetes.io/default-container: forewarn
    forewarn.dev/config: {{ .checksum }}
    {{- with $v.annotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "forewarn.fullname" $root }}-{{ .account }}
  automountServiceAccountToken: {{ .api }}
  enableServiceLinks: false
  {{- with $root.Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $v.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  terminationGracePeriodSeconds: 60
  securityContext:
    {{- if eq .part "node" }}
    runAsUser: 0
    {{- else }}
    runAsNonRoot: true
    runAsUser: 65532
    runAsGroup: 65532
    fsGroup: 65532
    fsGroupChangePolicy: OnRootMismatch
    {{- end }}
    seccompProfile: {type: RuntimeDefault}
  containers:
    - name: forewarn
      image: {{ include "forewarn.image" $root | quote }}
      imagePullPolicy: {{ $root.Values.image.pullPolicy }}
      args: [{{ .command }}, --config, /etc/forewarn/config/forewarn.yaml]
      env:
        - name: GOMEMLIMIT
          value: {{ $v.goMemoryLimit | quote }}
        - name: NODE_NAME
          valueFrom: {fieldRef: {fieldPath: spec.nodeName}}
        - name: POD_NAMESPACE
          valueFrom: {fieldRef: {fieldPath: metadata.namespace}}
      ports:
        - {name: http, containerPort: 9464}
        {{- if eq .part "matcher" }}{{- if not $root.Values.nats.url }}
        - {name: nats, containerPort: 4222}
        {{- end }}{{- end }}
        {{- if eq .part (include "forewarn.consolePart" $root) }}
        - {name: console, containerPort: {{ $root.Values.console.port }}}
        {{- end }}
        {{- if eq .part (include "forewarn.receiver" $root) }}
        {{- range $name, $port := $root.Values.receive.ports }}
        - {name: {{ $name }}, containerPort: {{ $port }}}
        {{- end }}
        {{- end }}
      # Ready and started: NATS answers, so that records can be taken or given; of a console, that it knows every warning, whether NATS answers now or not. Alive: the process answers.
      {{- $ready := "{path: /readyz, port: http}" }}
      {{- if eq .part "console" }}{{- $ready = printf "{path: /readyz, port: console, scheme: %s}" (ternary "HTTPS" "HTTP" (ne $root.Values.console.tlsSecret "")) }}{{- end }}
      startupProbe:
        httpGet: {{ $ready }}
        periodSeconds: 2
        failureThreshold: 90
      readinessProbe:
        httpGet: {{ $ready }}
        periodSeconds: 10
        timeoutSeconds: 5
      livenessProbe:
        httpGet: {path: /healthz, port: http}
        periodSeconds: 20
        timeoutSeconds: 5
        failureThreshold: 6
      resources:
        {{- toYaml $v.resources | nindent 8 }}
      securityContext:
        allowPrivilegeEscalation: {{ and (eq .part "node") (default false $v.kmsg) }}
        readOnlyRootFilesystem: true
        {{- if and (eq .part "node") $v.kmsg }}
        privileged: true
        {{- else }}
        capabilities:
          drop: [ALL]
          {{- if and (eq .part "node") (default false $v.journal) }}
          add: [SYS_CHROOT]
          {{- end }}
        {{- end }}
      volumeMounts:
        - {name: config, mountPath: /etc/forewarn/config, readOnly: true}
        {{- if include "forewarn.natsSources" $root }}
        - {name: nats, mountPath: /etc/forewarn/nats, readOnly: true}
        {{- end }}
        {{- if .notify }}{{- if $root.Values.notifySecret }}
        - {name: notify, mountPath: /etc/forewarn/notify, readOnly: true}
        {{- end }}{{- end }}
        {{- if .signatures }}{{- if $root.Values.signatures.files }}
        - {name: signatures, mountPath: /etc/forewarn/signatures, readOnly: true}
        {{- end }}{{- end }}
        {{- if and $root.Values.receive.secret (eq .part (include "forewarn.receiver" $root)) }}
        - {name: receive, mountPath: /etc/forewarn/receive, readOnly: true}
        {{- end }}
        {{- if and (include "forewarn.sightingsSources" $root) (not (has .part (list "node" "collector"))) }}
        - {name: sightings, mountPath: /etc/forewarn/sightings, readOnly: true}
        {{- end }}
        {{- if and (include "forewarn.consoleSources" $root) (eq .part (include "forewarn.consolePart" $root)) }}
        - {name: console, mountPath: /etc/forewarn/console, readOnly: true}
        {{- end }}
        {{- .mounts | nindent 8 }}
  volumes:
    - name: config
      configMap: {name: {{ include "forewarn.fullname" $root }}-{{ .part }}}
    {{- with include "forewarn.natsSources" $root }}
    - name: nats
      projected:
        defaultMode: 0440
        sources:
          {{- . | nindent 10 }}
    {{- end }}
    {{- if .notify }}{{- if $root.Values.notifySecret }}
    - name: notify
      secret: {secretName: {{ $root.Values.notifySecret }}, defaultMode: 0440}
    {{- end }}{{- end }}
    {{- if .signatures }}{{- if $root.Values.signatures.files }}
    - name: signatures
      configMap: {name: {{ include "forewarn.fullname" $root }}-signatures}
    {{- end }}{{- end }}
    {{- if and $root.Values.receive.secret (eq .part (include "forewarn.receiver" $root)) }}
    - name: receive
      secret: {secretName: {{ $root.Values.receive.secret }}, defaultMode: 0440}
    {{- end }}
    {{- if not (has .part (list "node" "collector")) }}
    {{- with include "forewarn.sightingsSources" $root }}
    - name: sightings
      projected:
        defaultMode: 0440
        sources:
          {{- . | nindent 10 }}
    {{- end }}
    {{- end }}
    {{- if eq .part (include "forewarn.consolePart" $root) }}
    {{- with include "forewarn.consoleSources" $root }}
    - name: console
      projected:
        defaultMode: 0440
        sources:
          {{- . | nindent 10 }}
    {{- end }}
    {{- end }}
    {{- .volumes | nindent 4 }}
  {{- with $v.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $v.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $v.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if and (ne .part "node") (not $v.affinity) }}
  topologySpreadConstraints:
    - maxSkew: 1
      topologyKey: kubernetes.io/hostname
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "forewarn.selector" $root | nindent 10 }}
          app.kubernetes.io/component: {{ .part }}
  {{- end }}
{{- end -}}

{{/* What is mounted of the secrets for NATS. */}}
{{- define "forewarn.natsSources" -}}
{{- with include "forewarn.tokenSecret" . }}
- secret: {name: {{ . }}, items: [{key: token, path: token}]}
{{- end }}
{{- with .Values.nats.credsSecret }}
- secret: {name: {{ . }}, items: [{key: creds, path: creds}]}
{{- end }}
{{- with .Values.nats.tlsSecret }}
- secret: {name: {{ . }}}
{{- end }}
{{- end -}}

{{/* What is mounted of the secrets for the NATS that clusters share. */}}
{{- define "forewarn.sightingsSources" -}}
{{- with .Values.sightings.share }}
{{- if .url }}
{{- with .tokenSecret }}
- secret: {name: {{ . }}, items: [{key: token, path: token}]}
{{- end }}
{{- with .credsSecret }}
- secret: {name: {{ . }}, items: [{key: creds, path: creds}]}
{{- end }}
{{- with .tlsSecret }}
- secret: {name: {{ . }}}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{/* What is mounted of the console's secrets. */}}
{{- define "forewarn.consoleSources" -}}
{{- with include "forewarn.consoleSecret" . }}
- secret: {name: {{ . }}, items: [{key: token, path: token}]}
{{- end }}
{{- with .Values.console.tlsSecret }}
- secret: {name: {{ . }}, items: [{key: tls.crt, path: tls.crt}, {key: tls.key, path: tls.key}]}
{{- end }}
{{- end -}}

{{- /* The ports of URLs with commas between them, for network policies. */ -}}
{{- define "forewarn.natsPorts" -}}
{{- range splitList "," . }}
- {port: {{ regexFind ":[0-9]+$" (trimSuffix "/" .) | trimPrefix ":" | default "4222" }}}
{{- end }}
{{- end -}}

{{- define "forewarn.podSelector" -}}
matchLabels:
  {{- include "forewarn.selector" (index . 0) | nindent 2 }}
  app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{/* The part that others send to. */}}
{{- define "forewarn.receiver" -}}
{{ ternary "collector" "matcher" (ne .Values.nats.url "") }}
{{- end -}}
