"""Pages that a person opens: one shell, one style sheet, one set of charts, for every page of both packages.

A page is a template of ``templates/``, rendered by :func:`mindgpt_plugins.web.page.render_page`. This is the only place
where text becomes markup, so that nothing a row, a label or a reply holds can become part of a page.
"""
