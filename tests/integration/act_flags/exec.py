#!/usr/bin/env python3
"""Driver exec: what a program gets, and every way in which it may fail."""
import json
import os
import sys
import tempfile
import time

from driver import Driver, check, refuses

MOVER = """\
#!/usr/bin/python3 -I
import json, os, sys
folder = os.path.dirname(os.path.realpath(__file__))
fault = open(folder + "/fault").read()
json.dump([sys.argv[1:], dict(os.environ), sorted(map(int, os.listdir("/proc/self/fd")))],
          open(folder + "/seen", "w"))
if fault == "hang":
    if os.fork() == 0:
        open(folder + "/child", "w").write(str(os.getpid()))
    while True:
        pass
if fault == "exit":
    sys.exit("first\\nthe edge is on fire")
if fault == "signal":
    os.kill(os.getpid(), 9)
if fault == "daemon" and os.fork() == 0:
    import time
    time.sleep(3)
    sys.exit()
if len(sys.argv) > 1 and sys.argv[1] == "set":
    open(folder + "/weight", "w").write(os.environ["SERIN_WEIGHT_BP"])
print(fault[5:] if fault.startswith("says ") else open(folder + "/weight").read())
"""


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


def main():
    tool = sys.argv[1]
    with tempfile.TemporaryDirectory(prefix="serin-exec-") as folder:
        program = os.path.join(folder, "mover")
        open(program, "w", encoding="utf-8").write(MOVER)
        os.chmod(program, 0o700)

        def fault(text):
            open(os.path.join(folder, "fault"), "w", encoding="utf-8").write(text)

        fault("")
        settings = {"kind": "exec", "timeout": "1500ms", "command": [
            program, "set", "{weight_percent}%", "{rollout}:{verdict_id}", "$(reboot); {nonsense}"]}
        driver = Driver(tool, settings)
        driver.fails(("read", 0), "not run yet")
        driver.moves(5, "internal", "beta")
        arguments, env, files = json.load(open(folder + "/seen", encoding="utf-8"))
        check(arguments == ["set", "0.05%", "shop:shop/3", "$(reboot); {nonsense}"], arguments)
        ours = {k: v for k, v in env.items() if k.startswith("SERIN_")}
        check(ours == {"SERIN_ROLLOUT": "shop", "SERIN_VERDICT_ID": "shop/3",
                       "SERIN_WEIGHT_BP": "5", "SERIN_WEIGHT_PERCENT": "0.05",
                       "SERIN_STOPPED": "0", "SERIN_AUDIENCE": "internal,beta"}, ours)
        check("HOME" not in env and files[:3] == [0, 1, 2] and len(files) <= 5, (env, files))
        told = driver("describe", 500, "shop/3")["text"]
        check("set 5.00% shop:shop/3" in told, told)
        fault("exit")
        driver.fails(("apply", 500, "shop/3"), "exit code 1", "the edge is on fire")
        fault("signal")
        driver.fails(("apply", 500, "shop/3"), "signal 9")
        fault("hang")
        driver.fails(("apply", 500, "shop/3"), "did not end within 1500 ms")
        time.sleep(0.2)
        child = open(folder + "/child", encoding="utf-8").read()
        check(not alive(child), "a process that it started lives on")
        for text in ("", "ok", "-1", "10001", "5 %", "500\n500", "5e2", "99999999999999999999999"):
            fault("says " + text)
            driver.fails(("apply", 500, "shop/3"), "expected the weight")
        fault("says 300")
        check(driver("apply", 500, "shop/3")["ok"], "a wrong read-back is no failure")
        check(driver("read", 500)["weight_bp"] == 300, "the wrong weight is not told")
        fault("daemon")
        began = time.monotonic()
        check(driver("apply", 700, "shop/3")["ok"], "what it leaves behind is not waited for")
        check(time.monotonic() - began < 1.4, "waited for a process that it left behind")
        fault("")
        driver.moves(800)
        driver.close()
        looks = Driver(tool, settings | {"read": [program, "look"]})
        check(looks("read", 0)["ok"] is False, "an order is needed first")
        looks.moves(900)
        open(folder + "/weight", "w", encoding="utf-8").write("77")
        check(looks("read", 900)["weight_bp"] == 77, "somebody's change is not seen")
        looks.close()
        gone = Driver(tool, {"kind": "exec", "command": [folder + "/none"]})
        gone.fails(("apply", 1, "shop/1"), "cannot be started", "No such file")
        gone.close()
        refuses(tool, {"kind": "exec", "command": ["mover"]}, "absolute path")
        refuses(tool, {"kind": "exec"}, "command")
    print("exec: arguments, environment, time-outs, garbage, read-back")


main()
