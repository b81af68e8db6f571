"""What `meterhouse bench` measures: one module a subject, each with `figures()`.

Owns the loads and the stopwatch. Must never be imported by what it measures. A figure is a plain
object: name, value, unit, and a reference measured in the same run where there is one, because
rates of one machine mean little on another and ratios do.
"""
