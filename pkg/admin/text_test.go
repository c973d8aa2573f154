package admin

import "testing"

// One phone number in the forms in which it arrives has one key. What is shown keeps its width.
func TestOneNumberHasOneKey(t *testing.T) {
	const number, wide = "13800000001", "１３８０００００００１"
	for text, shown := range map[string]string{
		number:                        number,
		"  13800000001\t":             number,
		"\u202a13800000001\u202c":     number,
		"\ufeff13800000001\u200b":     number,
		"138\u200b0000\u200d0001":     number,
		"138\u00ad0000\u20600001\x00": number,
		"138\x010000\n0001":           number,
		wide:                          wide,
		"\u3000" + wide + "\u200f":    wide,
		"１３８\u200b０００００００１":           wide,
	} {
		if got := Clean(text); got != shown {
			t.Errorf("Clean(%q) = %q, want %q", text, got, shown)
		}
		if got := Key(text); got != number {
			t.Errorf("Key(%q) = %q, want %q", text, got, number)
		}
	}
}

// Other texts keep the invisible characters that mean something inside them.
func TestTextsThatStay(t *testing.T) {
	for text, want := range map[string]string{
		"":                                "",
		"\u200b\u200d \ufeff":             "",
		"张三":                              "张三",
		"👨\u200d👩\u200d👧":                 "👨\u200d👩\u200d👧",
		"🏴\U000e0067\U000e0062\U000e007f": "🏴\U000e0067\U000e0062\U000e007f",
		"wechat:\u200babc":                "wechat:\u200babc",
		"a1\u200b2b":                      "a12b",
	} {
		if got := Clean(text); got != want {
			t.Errorf("Clean(%q) = %q, want %q", text, got, want)
		}
		if once := Key(text); Key(once) != once {
			t.Errorf("Key(%q) = %q, and its key is another: %q", text, once, Key(once))
		}
	}
	if got := Key("ｗｅｃｈａｔ：ａｂｃ"); got != "wechat:abc" {
		t.Errorf("Key = %q", got)
	}
}
