module github.com/forewarn/forewarn/deploy/alertmanager

go 1.26

require github.com/prometheus/alertmanager v0.35.0
