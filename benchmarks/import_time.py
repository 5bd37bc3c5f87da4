"""What `import statespace` costs beyond `import numpyro`: whole processes, in turn, minima over runs."""

import subprocess
import sys
import time


def seconds(statement):
    """Wall time of a fresh interpreter that runs one statement."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", statement], check=True)
    return time.perf_counter() - start


def main():
    """Print the difference."""
    runs = [(seconds("import numpyro"), seconds("import statespace")) for _ in range(6)][1:]
    base, whole = (min(column) for column in zip(*runs, strict=True))
    print(f"import numpyro {base:.2f} s, import statespace {whole:.2f} s, difference {whole - base:.2f} s (target 0.5)")


if __name__ == "__main__":
    main()
