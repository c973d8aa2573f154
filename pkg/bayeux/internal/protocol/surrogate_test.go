package protocol

import (
	"strings"
	"testing"
)

func TestUnpairedSurrogatesAreRefused(t *testing.T) {
	for text, lone := range map[string]bool{
		`"plain"`:                    false,
		`"😀"`:                        false,
		`"\ud83d\ude00"`:             false,
		`"\uD83D\uDE00\ud83d\ude00"`: false,
		`"\\ud83d"`:                  false,
		`"\\\\ud83d \u00e9"`:         false,
		`"\ud83d"`:                   true,
		`"\\\ud83d"`:                 true,
		`"\ude00"`:                   true,
		`"\ude00\ud83d"`:             true,
		`"\ud83d\ud83d\ude00"`:       true,
		`"\ud83d\u0041"`:             true,
		`"\ud83d\n\ude00"`:           true,
		`{"\ud83d":1}`:               true,
	} {
		for _, body := range []string{
			`{"channel":"/a","data":` + text + `}`,
			`[{"channel":"/a","data":{"deep":[` + text + `]}}]`,
			`{"channel":"/a","id":` + text + `,"ext":{"x":` + text + `}}`,
		} {
			if lone && strings.Contains(body, `"id":{`) {
				continue
			}
			batch, err := Parse([]byte(body), 10, 20)
			if err != nil || len(batch) != 1 {
				t.Fatalf("%s: %v", body, err)
			}
			if refused := batch[0].Refused != nil; refused != lone {
				t.Errorf("%s: refused %v, want %v", body, refused, lone)
			}
		}
	}
}
