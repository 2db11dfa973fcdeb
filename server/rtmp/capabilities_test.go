package rtmp_test

import (
	"testing"
	"testing/synctest"

	"foyer/server/amf"
	"foyer/server/rtmp"

	"github.com/google/go-cmp/cmp"
)

func TestCapabilities(t *testing.T) {
	every := amf.Object{{Name: "*", Value: amf.Number(4)}}
	maps := []amf.Field{{Name: "videoFourCcInfoMap", Value: every}, {Name: "audioFourCcInfoMap", Value: every}}
	with := func(caps float64) []amf.Field {
		return append(maps[:2:2], amf.Field{Name: "capsEx", Value: amf.Number(caps)})
	}
	for _, test := range []struct {
		name string
		sent amf.Object
		want []amf.Field
	}{
		{"an old client", nil, nil},
		{"a list", amf.Object{{Name: "fourCcList", Value: amf.StrictArray{amf.String("hvc1")}}}, maps},
		{"a map of video", amf.Object{{Name: "videoFourCcInfoMap", Value: every}}, maps},
		{"a map of audio", amf.Object{{Name: "audioFourCcInfoMap", Value: amf.ECMAArray{{Name: "Opus", Value: amf.Number(2)}}}}, maps},
		{"everything", amf.Object{{Name: "capsEx", Value: amf.Number(15)}}, with(15)},
		{"reconnect only", amf.Object{{Name: "capsEx", Value: amf.Number(1)}}, with(1)},
		{"bits to come", amf.Object{{Name: "capsEx", Value: amf.Number(1<<32 - 1)}}, with(15)},
		{"bits that are none", amf.Object{{Name: "capsEx", Value: amf.Number(-1)}}, nil},
		{"no number", amf.Object{{Name: "capsEx", Value: amf.String("2")}}, nil},
		{"Red5's spelling", amf.Object{{Name: "CapsEx", Value: amf.Number(15)}}, nil},
	} {
		synctest.Test(t, func(t *testing.T) {
			got := commands(t, withoutPreamble(t, answerToObject(t, test.sent, func(r *rtmp.ConnectRequest) error { return r.Accept() })))
			properties, info := got[0].Args[0].(amf.Object), got[0].Args[1].(amf.Object)
			if d := cmp.Diff(test.want, append([]amf.Field(nil), properties[3:]...)); d != "" {
				t.Errorf("%s: properties (-want +got)\n%s", test.name, d)
			}
			if d := cmp.Diff(test.want, append([]amf.Field(nil), info[4:]...)); d != "" {
				t.Errorf("%s: information (-want +got)\n%s", test.name, d)
			}
			if info[0].Name != "level" || info[1].Name != "code" || info[2].Name != "description" {
				t.Errorf("%s: Flash wants level, code and description first: %v", test.name, info)
			}
		})
	}
}
