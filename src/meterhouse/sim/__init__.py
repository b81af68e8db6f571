"""A town of simulated meters and gateways that speaks the wire protocols and can be told to fail.

Owns the physics of a meter, the load it measures, the bus and gateway it hangs on, the faults laid
over them, and the conformance kit that holds a driver against them. Must never know drivers,
flows, the head end or the store: the town is the other end of the line, and a test that let both
ends share more than the frames would prove nothing.
"""
