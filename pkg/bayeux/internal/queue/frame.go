package queue

import (
	"encoding/json"
	"strconv"
	"sync"

	"github.com/gorilla/websocket"
)

// Frame is one delivered message in its wire form. It is encoded once and shared by all sessions
// that receive it under one name, so the cost of a fan-out does not grow with the size of the
// message.
type Frame struct {
	array []byte // [{"channel":…,"data":…}]
	// The parts of it, for a repetition.
	name     string
	data     []byte
	position uint64

	once     sync.Once
	prepared *websocket.PreparedMessage

	repeatOnce sync.Once
	repeat     *Frame
}

// NewFrame encodes a delivery. The name must have passed the channel grammar, so it needs no
// escaping, and data must be compact JSON. A position other than 0 goes into ext.replay.
func NewFrame(name string, data []byte, position uint64) *Frame {
	size := len(name) + len(data) + len(`[{"channel":"","data":}]`)
	if position != 0 {
		size += len(`,"ext":{"replay":1234567890123456}`)
	}
	b := make([]byte, 0, size)
	b = append(b, `[{"channel":`...)
	b = strconv.AppendQuote(b, name)
	b = append(b, `,"data":`...)
	b = append(b, data...)
	if position != 0 {
		b = append(b, `,"ext":{"replay":`...)
		b = strconv.AppendUint(b, position, 10)
		b = append(b, '}')
	}
	b = append(b, '}', ']')
	return &Frame{array: b, name: name, data: data, position: position}
}

// Repeat is the message as it is sent a second time: with its data changed by mark, which says so
// to the reader. A nil mark changes nothing. All sessions must give the same mark.
func (f *Frame) Repeat(mark func(data json.RawMessage) json.RawMessage) *Frame {
	if mark == nil {
		return f
	}
	f.repeatOnce.Do(func() {
		f.repeat = NewFrame(f.name, mark(f.data), f.position)
		f.repeat.repeatOnce.Do(func() { f.repeat.repeat = f.repeat }) // once is enough
	})
	return f.repeat
}

// Array is the message in an array of its own. It must not be changed.
func (f *Frame) Array() []byte { return f.array }

// Object is the message without the array around it. It must not be changed.
func (f *Frame) Object() []byte { return f.array[1 : len(f.array)-1] }

// Size is the length of the array in bytes, the unit in which queues are bounded.
func (f *Frame) Size() int { return len(f.array) }

// Socket is the message as a websocket frame of its own. Preparing it once spares each socket of a
// fan-out the masking and framing.
func (f *Frame) Socket() *websocket.PreparedMessage {
	f.once.Do(func() {
		// Text of any length can be prepared without compression, so there is no error to answer.
		f.prepared, _ = websocket.NewPreparedMessage(websocket.TextMessage, f.array)
	})
	return f.prepared
}
