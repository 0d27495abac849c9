// The Go side of tests/bench/twin.c: the same benchmarks, whose output must be the same bytes.
// Each reports a ns/op of its own, so that nothing depends on the machine.
package main

import "testing"

func BenchmarkPlain(b *testing.B) {
	for i := 0; i < b.N; i++ {
	}
	b.ReportMetric(123.456, "ns/op")
}

func BenchmarkMetrics(b *testing.B) {
	b.ReportAllocs()
	b.SetBytes(1000)
	b.ReportMetric(0.25, "ns/op")
	b.ReportMetric(12.345, "MB/s")
	b.ReportMetric(7.9, "B/op")
	b.ReportMetric(3, "allocs/op")
	b.ReportMetric(1, "z/op")
	b.ReportMetric(1234567.8, "Z/op")
	b.ReportMetric(0.00001, "a/op")
	b.ReportMetric(2, "a/op")
	b.ReportMetric(-99.99, "neg")
}

func BenchmarkHidden(b *testing.B) {
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(42, "answers")
}

func BenchmarkReset(b *testing.B) {
	b.ReportMetric(1, "gone")
	b.ResetTimer()
	b.ReportMetric(5, "ns/op")
}

func leaf(b *testing.B) { b.ReportMetric(1, "ns/op") }

func BenchmarkNames(b *testing.B) {
	for _, name := range []string{"a", "a", "a#01", "a", "", "", "x y\tz", "üñ", "\x01", "b/c",
		"b/c", "#00", "n=10", "n=10", "n=100", "a#1", "a#1", "tail#", "é z"} {
		b.Run(name, leaf)
	}
}

func BenchmarkNested(b *testing.B) {
	for _, outer := range []string{"one", "two"} {
		b.Run(outer, func(b *testing.B) {
			for _, inner := range []string{"x", "x", "y"} {
				b.Run(inner, leaf)
			}
		})
	}
}

func BenchmarkLogs(b *testing.B) {
	b.Log("first\nsecond\nthird")
	b.Logf("n is %d\n", b.N)
	b.ReportMetric(1, "ns/op")
}

func BenchmarkManyLogs(b *testing.B) {
	for i := 0; i < 20; i++ {
		b.Logf("line %d", i)
	}
	b.ReportMetric(1, "ns/op")
}

func BenchmarkFailFirst(b *testing.B) { b.Error("wrong from the start") }

func BenchmarkFailLate(b *testing.B) {
	if b.N > 1 {
		b.Errorf("wrong at %d", b.N)
	}
	b.ReportMetric(1, "ns/op")
}

func BenchmarkFailSub(b *testing.B) {
	b.Run("good", leaf)
	b.Run("bad", func(b *testing.B) { b.Error("sub") })
	b.Run("late", BenchmarkFailLate)
}

func BenchmarkAVeryLongNameThatMakesTheColumnWide(b *testing.B) {
	b.Run("and/an/even/longer/name/of/its/child", leaf)
	b.Run("short", leaf)
}

func BenchmarkLoop(b *testing.B) {
	for b.Loop() {
	}
	b.ReportMetric(2, "ns/op")
}
