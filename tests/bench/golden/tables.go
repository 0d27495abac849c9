// Writes the tables that tests/unit/test_bench.c compares with: what Go itself answers.
//
//	go run -ldflags=-checklinkname=0 . FOLDER
package main

import (
	"bufio"
	"fmt"
	"log"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	_ "unsafe"
)

//go:linkname predictN testing.predictN
func predictN(goalns, prevIters, prevns, last int64) int

// random is splitmix64; the C test has the same one, so that the table holds answers only.
type random uint64

func (r *random) next() uint64 {
	*r += 0x9e3779b97f4a7c15
	z := uint64(*r)
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// magnitude returns a number with a random count of digits below 10^digits.
func (r *random) magnitude(digits uint64) int64 {
	limit := int64(1)
	for i := r.next() % (digits + 1); i > 0; i-- {
		limit *= 10
	}
	return int64(r.next() % uint64(limit))
}

func predictions(w *bufio.Writer) {
	r := random(2)
	for i := 0; i < 10000; i++ {
		goal, n := 1+r.magnitude(10), 1+r.magnitude(8)
		ns, last := r.magnitude(11), 1+r.magnitude(9)
		fmt.Fprintln(w, predictN(goal, n, ns, last))
	}
}

func value(x float64) string {
	text := testing.BenchmarkResult{N: 1, Extra: map[string]float64{"unit": x}}.String()
	return text[strings.Index(text, "\t")+1:]
}

func values(w *bufio.Writer) {
	r := random(3)
	table := []float64{0, math.Copysign(0, -1), math.NaN(), math.Inf(1), math.Inf(-1), 5e-324,
		math.MaxFloat64, -1, 0.5, 1.5, 2.5, 1e15, 1e16, 1e17}
	for _, edge := range []float64{999.95, 99.995, 9.9995, 0.99995, 0.099995, 0.0099995, 0.00099995} {
		table = append(table, edge, -edge, math.Nextafter(edge, 0), math.Nextafter(edge, 1e9))
	}
	for i := 0; i < 1000; i++ {
		table = append(table, float64(r.magnitude(9))/float64(1+r.magnitude(9)))
	}
	for _, x := range table {
		fmt.Fprintf(w, "%x|%s\n", math.Float64bits(x), value(x))
	}
}

func durations(w *bufio.Writer) {
	for _, text := range []string{"1s", "100ms", "1.5s", "1h2m3s", "0", "0s", "2", "", "s", ".s",
		".5s", "1.s", "300us", "300µs", "7ns", "1m1m", "1s ", " 1s", "-1s", "+1s", "1S", "1d",
		"1e3s", "0.1ns", "9223372036s", "99999999999s", "1..5s", "1.5.5s", "1ss", "x"} {
		d, err := time.ParseDuration(text)
		if err != nil || d < 0 || strings.HasPrefix(text, "+") { // signs have no use in a flag
			d = -1
		}
		fmt.Fprintf(w, "%s|%d\n", text, int64(d))
	}
}

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: go run -ldflags=-checklinkname=0 . FOLDER")
	}
	for name, table := range map[string]func(*bufio.Writer){
		"predict.txt": predictions, "values.txt": values, "durations.txt": durations} {
		f, err := os.Create(filepath.Join(os.Args[1], name))
		if err != nil {
			log.Fatal(err)
		}
		w := bufio.NewWriter(f)
		table(w)
		w.Flush()
		f.Close()
	}
}
