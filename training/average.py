"""The mean of checkpoints that descend from one start: it often beats each of them on photos they have not seen.

  python3 average.py runs/a.pt runs/b.pt --out runs/mean.pt
"""
import argparse

from weights import load_any, save_checkpoint


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('networks', nargs='+')
    p.add_argument('--out', required=True)
    args = p.parse_args()
    (first, about), *rest = (load_any(path) for path in args.networks)
    states = [first.state_dict(), *(net.state_dict() for net, _ in rest)]
    mean = {k: sum(s[k] for s in states) / len(states) for k, v in states[0].items() if v.is_floating_point()}
    save_checkpoint(args.out, mean, about)


if __name__ == '__main__':
    main()
