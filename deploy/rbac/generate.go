package rbac

//go:generate go test . -run ^TestTheRulesOfTheChartAreThoseThatTheCodeDeclares$ -update
