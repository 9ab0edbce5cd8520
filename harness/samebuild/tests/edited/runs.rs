//! Lines with RUN for the Dockerfiles that are edited: what they find, make, move and take away, and nothing of the time at
//! which they run. They do not fail where there is nothing to do: most Dockerfiles are of lines that do not fit.

/// Half of them copy: there is something to run on, and something stands on what was run.
pub const LINES: [&str; 22] = [
    "COPY d /d",
    "COPY a b* /few/",
    "COPY . /all/",
    "WORKDIR /w/$A",
    "COPY --chown=7:8 a ./",
    "ENV A=x",
    "COPY --from=other /o /o",
    "USER 7:8",
    "ADD d/e $TO",
    "RUN echo $ARG $A >> /tmp/log; ls -a / /tmp > /tmp/ls",
    "RUN rm -rf /d/f /few/b1 /w/x; true",
    "RUN mv /d/e /moved; true",
    "RUN chmod 700 /d /few /few/*; chown 7:9 /few/a; true",
    "RUN ln -f /all/a /hard; ln -sfn /d/g /soft; true",
    "RUN stat -c '%n %F %a %u:%g %h %Y' /all/* > /tmp/stats; true",
    "RUN mkdir -p /made/x; cat /d/e /few/a > /made/x/both; true",
    "RUN sha256sum /d/* /few/* /made/x/* /moved /o/* > /tmp/sums; true",
    "RUN rm -rf /made /d && mkdir -p /d && echo $TO > /d/e; true",
    "RUN setfattr -n user.m -v $ARG /few/a || echo $ARG > /few/m; true",
    "RUN --mount=type=bind,target=/ctx cat /ctx/a > /tmp/bound; ls -a /ctx >> /tmp/bound",
    "RUN --mount=type=bind,from=other,target=/ctx ls -aR /ctx > /tmp/bound; true",
    "RUN --mount=type=cache,target=/c echo x >> /c/n; cp -r /few /kept; true",
];
