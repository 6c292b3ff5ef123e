package matcher

import (
	"encoding/binary"
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"
)

type flatPair struct {
	A uint32
	B uint16
	C [2]uint8
}

func TestFlatTablesComeBack(t *testing.T) {
	var w flatWriter
	putSlice(&w, []uint8{7}) // what follows is not aligned
	putSlice(&w, []flatPair{{1, 2, [2]uint8{3, 4}}, {5, 6, [2]uint8{7, 8}}})
	putSlice(&w, []uint64(nil))
	w.putText("text")
	w.putNumber(9)

	r := flatReader{b: w.b}
	require.Equal(t, []uint8{7}, getSlice[uint8](&r))
	require.Equal(t, []flatPair{{1, 2, [2]uint8{3, 4}}, {5, 6, [2]uint8{7, 8}}}, getSlice[flatPair](&r))
	require.Empty(t, getSlice[uint64](&r))
	require.Equal(t, "text", r.text())
	require.EqualValues(t, 9, r.number())
	require.NoError(t, r.err)
	require.Empty(t, r.b)
	require.Equal(t, []byte{2, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 3, 4}, w.b[9:25], "the order of bytes is part of the format")
}

func TestFlatTablesThatAreCutOffAreRefused(t *testing.T) {
	var w flatWriter
	putSlice(&w, []flatPair{{}, {}})
	for n := range w.b {
		r := flatReader{b: w.b[:n]}
		require.Empty(t, getSlice[flatPair](&r))
		require.ErrorIs(t, r.err, errFlat)
		require.Zero(t, r.number(), "nothing is read after a mistake")
	}
	r := flatReader{b: []byte{255, 255, 255, 255, 255, 255, 255, 255, 0}}
	require.Empty(t, getSlice[uint64](&r), "a hostile length")
	require.ErrorIs(t, r.err, errFlat)
}

// TestFlatTablesHaveNoGaps lists what is stored as it lies in memory: the parts of each must add up to the whole.
func TestFlatTablesHaveNoGaps(t *testing.T) {
	for _, x := range []any{
		testNode{}, wordRef{}, literalRef{}, matcher{}, limitPair{}, fieldTest{}, condition{}, row{}, fieldSlot{}, absence{},
		word{}, slot{}, node{}, ref{}, mark{}, edge{}, patternStep{}, pattern{},
	} {
		typ, sum := reflect.TypeOf(x), 0
		for _, n := range numbersOf(typ, nil) {
			sum += n
		}
		require.EqualValues(t, typ.Size(), sum, "%s", typ)
		require.Equal(t, sum, binary.Size(x), "%s has something that is no number", typ)
	}
}

func TestTheOrderOfBytesCanBeSwapped(t *testing.T) {
	list := []flatPair{{1, 2, [2]uint8{3, 4}}, {5, 6, [2]uint8{7, 8}}}
	big, err := binary.Append(nil, binary.BigEndian, list)
	require.NoError(t, err)
	swapBytes[flatPair](big)
	little, err := binary.Append(nil, binary.LittleEndian, list)
	require.NoError(t, err)
	require.Equal(t, little, big)
}
