package signatures

// AlertingRule is a rule of Prometheus that a signature was drafted from, word for word, so that nothing of it is lost.
type AlertingRule struct {
	Group         string            `yaml:"group,omitempty" json:"group,omitempty" doc:"The group that it was in."`
	Alert         string            `yaml:"alert" json:"alert" doc:"The alert's name."`
	Expr          string            `yaml:"expr" json:"expr" doc:"The expression, in PromQL."`
	For           string            `yaml:"for,omitempty" json:"for,omitempty" doc:"How long it must hold, as Prometheus writes it."`
	KeepFiringFor string            `yaml:"keep_firing_for,omitempty" json:"keep_firing_for,omitempty" doc:"How long it goes on firing after that, as Prometheus writes it."`
	Labels        map[string]string `yaml:"labels,omitempty" json:"labels,omitempty" doc:"The labels that it adds, those of its group among them."`
	Annotations   map[string]string `yaml:"annotations,omitempty" json:"annotations,omitempty" doc:"What it tells people, with templates."`
}
