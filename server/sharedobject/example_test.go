package sharedobject_test

import (
	"fmt"

	"foyer/server/amf"
	"foyer/server/sharedobject"
)

// A lobby keeps an entry for each room; two visitors follow it.
func Example() {
	rooms := sharedobject.New[string]("rooms", false, 1)
	visitors := map[string]*sharedobject.Replica{"ann": {}, "bob": {}}
	tell := func(visitor string, m *sharedobject.Message) {
		for _, s := range visitors[visitor].Apply(m) {
			fmt.Printf("%s %d %q %s\n", visitor, m.Version, s.Slot, s.Code)
		}
	}

	rooms.Set("blue", amf.Object{{Name: "users", Value: amf.Number(3)}})
	rooms.Use("ann", 0)
	rooms.Flush(tell)

	rooms.Use("bob", 0)
	rooms.Set("blue", amf.Object{{Name: "users", Value: amf.Number(4)}})
	rooms.Remove("red") // was not there
	rooms.Flush(tell)

	// ann may not write.
	e := sharedobject.Event{Type: sharedobject.RequestRemove, Slot: "blue"}
	visitors["ann"].Request(e)
	if err := rooms.Request("ann", e, false); err != nil {
		fmt.Println(err)
	}
	rooms.Flush(tell)
	fmt.Println("bob sees", visitors["bob"].Slots["blue"])

	// Output:
	// ann 2 "" clear
	// ann 2 "blue" change
	// ann 3 "blue" change
	// bob 3 "" clear
	// bob 3 "blue" change
	// bob 3 "blue" change
	// sharedobject: no write access
	// ann 3 "blue" status
	// bob sees [{users 4}]
}
