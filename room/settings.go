package room

import (
	"fmt"
	"slices"
	"time"

	"foyer/lobby"
	"foyer/server/amf"
)

// MaxSlow is the longest time that slow mode can put between the messages of a user.
const MaxSlow = time.Hour

// Bounds of retention.
const (
	MaxKeepCount = 1_000_000
	MaxKeepDays  = 3650
)

// settings are decided by moderators. As JSON they are part of the room's state.
type settings struct {
	Title     string    `json:"title,omitempty"`
	Topic     string    `json:"topic,omitempty"`
	Tags      []string  `json:"tags,omitempty"`
	Slow      int       `json:"slow,omitempty"` // seconds between the messages of a user
	Locked    bool      `json:"locked,omitempty"`
	Unlisted  bool      `json:"unlisted,omitempty"`
	Retention retention `json:"keep,omitzero"`
	Record    *bool     `json:"record,omitempty"` // nil: as the server does
}

func (s *settings) slow() time.Duration { return time.Duration(s.Slow) * time.Second }

// retention is how much of the chat is kept; 0 is as much as the server keeps.
type retention struct {
	Count int     `json:"count,omitempty"`
	Days  float64 `json:"days,omitempty"`
}

func (k retention) age() time.Duration { return time.Duration(k.Days * 24 * float64(time.Hour)) }

// String says it to the people in the room.
func (k retention) String() string {
	switch {
	case k.Count > 0 && k.Days > 0:
		return fmt.Sprintf("What is said here is kept for %v days, at most %d messages.", k.Days, k.Count)
	case k.Count > 0:
		return fmt.Sprintf("Of what is said here, at most %d messages are kept.", k.Count)
	case k.Days > 0:
		return fmt.Sprintf("What is said here is kept for %v days.", k.Days)
	}
	return "What is said here is kept as everywhere on this server."
}

// setTopic is topic(text).
func (r *Room) setTopic(args amf.Args) error {
	was := r.settings.Topic
	if err := r.set(&r.settings.Topic, args, lobby.MaxTopic); err != nil {
		return err
	}
	switch r.settings.Topic {
	case was:
	case "":
		r.notify("The room has no topic now.")
	default:
		r.notify("The topic is now: " + r.settings.Topic)
	}
	return nil
}

// setTitle is title(text).
func (r *Room) setTitle(args amf.Args) error { return r.set(&r.settings.Title, args, lobby.MaxTitle) }

// set changes a text that the lobby lists.
func (r *Room) set(dst *string, args amf.Args, max int) error {
	if _, ok := amf.AsString(args.At(0)); !ok {
		return fail("The text must be a string.", 0)
	}
	*dst = line(args.At(0), max)
	r.show()
	return nil
}

// setTags is tags(array).
func (r *Room) setTags(args amf.Args) error {
	list, ok := args.At(0).(amf.StrictArray)
	if !ok || len(list) > lobby.MaxTags {
		return fail(fmt.Sprintf("Tags must be an array of at most %d strings.", lobby.MaxTags), 0)
	}
	var tags []string
	for _, v := range list {
		if tag := line(v, lobby.MaxTag); tag != "" && !slices.Contains(tags, tag) {
			tags = append(tags, tag)
		}
	}
	r.settings.Tags = tags
	r.changed()
	return nil
}

// setUnlisted is unlist(on).
func (r *Room) setUnlisted(on bool) error {
	r.settings.Unlisted = on
	r.changed()
	return nil
}

// setLock is lock(on): newcomers to a locked room may watch, not talk.
func (r *Room) setLock(on bool) error {
	if on == r.settings.Locked {
		return nil
	}
	r.settings.Locked, r.doors.Members = on, nil
	r.show()
	if on {
		r.notify("The room is locked: newcomers can only watch.")
	} else {
		r.notify("The room is open again.")
	}
	return nil
}

// setRecord is record(on): whether broadcasts are recorded from now on.
func (r *Room) setRecord(on bool) error {
	keeper := r.cfg.Recorder
	if keeper == nil {
		return fail("This server does not record.", 0)
	}
	r.settings.Record = &on
	was := keeper.Recorded(r.name)
	if keeper.Record(r.name, on); was == on {
		return nil
	}
	r.show()
	if on {
		r.notify("Broadcasts in this room are being recorded.")
	} else {
		r.notify("Broadcasts in this room are not recorded any more.")
	}
	return nil
}

// setSlow is slow(seconds): how often each user may talk; 0 ends slow mode.
func (r *Room) setSlow(args amf.Args) error {
	d, err := seconds(args.At(0), MaxSlow)
	if err != nil {
		return err
	}
	if d = d.Truncate(time.Second); d == r.settings.slow() {
		return nil
	}
	r.settings.Slow = int(d.Seconds())
	r.show()
	if d == 0 {
		r.notify("Slow mode is off.")
	} else {
		r.notify("Slow mode: " + every(d))
	}
	return nil
}

// setRetention is keep(count, days): how much of the chat is kept here, if less than
// the server keeps.
func (r *Room) setRetention(args amf.Args) error {
	k := retention{}
	count, ok := amf.AsNumber(args.At(0))
	if k.Count = int(clampNumber(count, MaxKeepCount)); !ok || float64(k.Count) != count {
		return fail(fmt.Sprintf("The count must be a whole number from 0 to %d.", MaxKeepCount), 0)
	}
	days, ok := amf.AsNumber(args.At(1))
	if k.Days = clampNumber(days, MaxKeepDays); !ok || k.Days != days {
		return fail(fmt.Sprintf("The days must be a number from 0 to %d.", MaxKeepDays), 0)
	}
	if k == r.settings.Retention {
		return nil
	}
	r.settings.Retention = k
	r.store.Limit(k.Count, k.age())
	r.show()
	r.notify(k.String())
	return nil
}

// seconds reads a duration between 0 and max.
func seconds(v amf.Value, max time.Duration) (time.Duration, error) {
	n, ok := amf.AsNumber(v)
	if !ok || !(n >= 0 && n <= max.Seconds()) {
		return 0, fail(fmt.Sprintf("Seconds must be a number from 0 to %.0f.", max.Seconds()), 0)
	}
	return time.Duration(n * float64(time.Second)), nil
}

// clampNumber returns n, at least 0 and at most most; 0 if it is no number.
func clampNumber(n, most float64) float64 {
	if !(n > 0) {
		return 0
	}
	return min(n, most)
}

func every(d time.Duration) string { return fmt.Sprintf("one message per person every %s.", d) }
