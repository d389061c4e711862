"""The page of ``drumblender-app``, on which drums are taken apart, changed and mixed by hand.

A thin server over :class:`~drumblender.sound.Sound`, :class:`~drumblender.sound.Changes` and
:func:`~drumblender.sound.mix`: what is heard on the page can be made in Python, too.

- :mod:`~drumblender.app.serving` opens the port and the browser.
- :mod:`~drumblender.app.pages` answers requests.
- :mod:`~drumblender.app.incoming` reads what a browser sends.
- :mod:`~drumblender.app.guard` refuses requests that are not of the page.
- :mod:`~drumblender.app.sessions` keeps what one person has on the page, in memory only.
- :mod:`~drumblender.app.recipe` says how a sound is made of the drums of a session.
- :mod:`~drumblender.app.result` holds such a sound, and what the page draws and downloads of it.

The page itself lies in ``static``: plain HTML, CSS and JavaScript modules that need no build step
and load nothing from elsewhere.
"""
