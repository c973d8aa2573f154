package main

import (
	"regexp"
	"strings"
)

// wordPatterns are this project's old words for concepts for which the field has a term. They are
// written so that ordinary English passes: nobody has to avoid "look" in a sentence about looking.
// Identifiers are matched too: camel case is split before the match.
var wordPatterns = []struct {
	pattern *regexp.Regexp
	instead string
}{
	{regexp.MustCompile(`(?i)\bdoor ?bells?\b|\bbells?\b|\brings? (again|for|it|anew|him)\b|\brung\b|\bringing\b|\bringer\b`), "task, queue, enqueue, wake"},
	{regexp.MustCompile(`(?i)\buntold\b|\b(tells?|told) (it|them|him|her|others|nobody|everybody|everyone|whoever|people|followers?|subscribers?|sessions?|clients?|the (present|latest|end|bus|page|person|world))\b|\b(is|are|was|were|be|been|being) told\b|\btelling\b|\bheard?\b|\bhears\b|\bhearing\b`), "publish, notify, report, send"},
	{regexp.MustCompile(`(?i)\bfollowers?\b`), "subscriber; incremental uploader"},
	{regexp.MustCompile(`(?i)\bplaces? (in|of|for) (the|that|a|his|their|its) day\b|\b(day'?s|daily) places?\b|\bplace back\b`), "daily quota"},
	{regexp.MustCompile(`(?i)\bslots? (is |are |was |were )?held\b|\bholds? (a|the|its|their|his) slots?\b|\bslot's\b`), "active quota"},
	{regexp.MustCompile(`(?i)\bhand(s|ed|ing)?[ -]?backs?\b|\bhand(s|ed|ing)? (it|them|jobs?|rows?) back\b`), "release"},
	{regexp.MustCompile(`(?i)\bdut(y|ies)\b`), "periodic task"},
	{regexp.MustCompile(`(?i)\bforg[eo]t(s|ten|ting)?\b`), "purge"},
	{regexp.MustCompile(`(?i)\bverdicts?\b`), "retry policy"},
	{regexp.MustCompile(`(?i)\bparcels?\b|\blanes?\b`), "message, shard"},
	{regexp.MustCompile(`(?i)\b(reconciler|worker|leader|clean-?up|server|process) looks\b|\blooks (every|again|for (tasks|work|jobs))\b|\bbetween (two )?looks\b`), "poll"},
	{regexp.MustCompile(`(?i)\boutgrown?\b|\boutgrew\b|\b(cannot|can't|could not|couldn't) keep up\b`), "overflowed, slow consumer"},
	{regexp.MustCompile(`(?i)\balarms?\b`), "timer"},
	{regexp.MustCompile(`\bnotes\.(log|warn|info|error|say|Log|Warn|Info|Error|Say)|\*notes\b|\bnotes struct\b`), "rate-limited logger"},
	{regexp.MustCompile(`(?i)\bbr(oken|eaks?|oke|eaking)[ -]off\b`), "aborted"},
	{regexp.MustCompile(`(?i)\bstand-?ins?\b`), "fake"},
	{regexp.MustCompile(`(?i)\bwhoever\b|\bas it stands\b|\bof nobody\b|\b(tells?|told|told to) nobody\b`), "the noun that is meant"},
}

var camel = regexp.MustCompile(`([a-z0-9])([A-Z])`)

// exempt are uses that stay: names that were published or that others chose.
var exempt = []*regexp.Regexp{
	// The outcome of the metric exporthub_job_attempts_total, which dashboards name.
	regexp.MustCompile(`hand_back`),
	// A log key that operators search for.
	regexp.MustCompile(`"duty"`),
}

// foreign returns the findings of one line.
func foreign(file string, line int, text string) []place {
	var found []place
	split := camel.ReplaceAllString(strings.ReplaceAll(text, "_", " "), "$1 $2")
	for i, w := range wordPatterns {
		if i == 0 && strings.HasPrefix(file, "web/") {
			continue // the page's bell is a bell
		}
		if m := w.pattern.FindString(split); m != "" && !excused(text) {
			found = append(found, place{file: file, line: line, text: m + " → " + w.instead})
		}
	}
	return found
}

func excused(text string) bool {
	for _, e := range exempt {
		if e.MatchString(text) {
			return true
		}
	}
	return false
}
