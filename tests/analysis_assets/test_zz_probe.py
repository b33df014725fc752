import time, pytest, threading
def test_a(double):
    keys = double.take_in({"number": 1}, {"number": 2}, {"number": 3})
    t=time.time(); r = double.run(keys); print("RUN", time.time()-t, r.success)
    print(double.job(keys[0]).state, double.materializations(keys[0])[0].metadata.keys())
    t=time.time(); r = double.run(keys); print("RERUN", time.time()-t, r.success)

def test_stop(misbehave):
    keys = misbehave.take_in(*[{"mode": "sleep", "seconds": 2.5, "number": i} for i in range(6)])
    t=time.time()
    try:
        with misbehave.batch() as b:
            it = b.outcomes(keys)
            threading.Timer(1.5, lambda: None)
            time.sleep(0)
            o = next(it); print("FIRST", time.time()-t, o.kind)
            raise KeyError
    except KeyError: pass
    print("STOPPED", time.time()-t)
    print([misbehave.job(k).state for k in keys])
