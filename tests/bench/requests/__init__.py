"""What a request costs the gateway: of two commits side by side, and how many requests several instances answer.

No lab host is needed. The gateway of a commit is rendered by that commit's own code, and its processes are started here
as their unit files say, without systemd's sandbox. The server behind it is a stand-in that needs no time to think.
"""
