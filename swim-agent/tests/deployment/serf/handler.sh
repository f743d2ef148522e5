#!/bin/sh
cat > "$SERF_EVENT"
