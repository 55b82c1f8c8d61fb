# Entry of the Python runtime client: the only file compiled at every start, so it stays a few lines long.
# It puts the client's own folder on the path and hands over to `lambent_start`, which may come from a
# compiled file beside it. It knows nothing of the channel, of handlers or of errors.
import sys

sys.dont_write_bytecode = True
if sys.flags.isolated or sys.path[:1] != [__file__.rpartition("/")[0]]:
    sys.path.insert(0, __file__.rpartition("/")[0])

from lambent_start import main  # noqa: E402  (the path above has to come first)

main()
