"""``python -m mindgpt_plugins.llamafactory_ext``; torchrun ranks start here too."""

import sys

from mindgpt_plugins.llamafactory_ext.launch import main

if __name__ == "__main__":
    main(sys.argv[1:])
